"""Three devices that hear sound otherwise than the recordings did, for the domain-shift suite (MISSION 5.2).

A phone call (300–3400 Hz, companded or coarsely coded), a laptop across the table (a small room, its own fan, a narrow
microphone, automatic gain) and a good microphone near the mouth; and the rate at which audio is delivered. Each is a
pure function of 16 kHz audio (samples,) and a generator: no length changes, nothing moves in time. They know nothing of
words or scores. The room is Polack's (1988): decaying Gaussian noise.
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.variants import Codec
from uyan.data.waveform import reverberate, through_microphone, through_telephone
from uyan.errors import EvaluationError

Device = Literal["phone", "laptop", "mic"]
DEVICES: tuple[Device, ...] = get_args(Device)
RATES_HZ = (8_000, SAMPLE_RATE)

CODECS: tuple[Codec, ...] = get_args(Codec)

RT60_S = 0.3
"""The room's sound falls by 60 dB in this time: a furnished small room."""
DIRECT_TO_REVERBERANT_DB = 3.0
"""An arm's length from the mouth to the lid."""
FIRST_REFLECTION_S = 0.002
"""From the table, 0.7 m of detour."""
LAPTOP_BAND_HZ = (150.0, 6000.0)
"""−3 dB; 12 dB an octave beyond."""
FAN_DB = -50.0
"""Of full scale, before the automatic gain; speech in recordings stands at −15 to −25."""
FAN_LOWPASS = 0.9
"""Pole of the fan's rush of air: its power falls by 6 dB an octave from 270 Hz on."""
FAN_BLADES_HZ = (180.0, 320.0)
"""The blades' tone lies somewhere here and has half of the power."""

GAIN_BLOCK_SAMPLES = SAMPLE_RATE // 100
GAIN_TARGET_DB = -20.0
"""The level, in dB of full scale, that the automatic gain brings speech to."""
GAIN_RANGE_DB = 24.0
"""The most that it amplifies or attenuates."""
GAIN_ATTACK = 0.4
"""Share of a louder block's excess that is followed at once: a time constant of 20 ms."""
GAIN_RELEASE_DB_PER_S = 6.0
SILENCE = 1e-12
"""Added to a power before its logarithm: −120 dB."""

MIC_RESPONSE_DB = 1.0
MIC_NOISE_DB = -80.0

RESPONSE_HZ = (20.0, SAMPLE_RATE / 2)
"""Responses are measured from and up to here."""
REFERENCE_HZ = 1000.0
RESPONSE_FLOOR_DB = -60.0
"""What is below is shown as this: less than the devices' own noise."""
PROBES, PROBE_S, PROBE_SETTLES_S = 6, 14.0, 4.0
PROBE_DB = -30.0
PROBE_SEGMENT_SAMPLES = 4096
BAND_OCTAVES = 1 / 3
"""A response is averaged over this width, as the ear does: a room's is a comb when looked at more closely."""


def through_device(device: Device, samples: Samples, rng: np.random.Generator) -> Samples:
    """What the device delivers of sound of shape (samples,): the same length, within ±1."""
    return _THROUGH[device](samples, rng)


def phone(samples: Samples, rng: np.random.Generator) -> Samples:
    """A call: 300–3400 Hz, then µ-law or a coarse 3-bit codec, as likely the one as the other."""
    heard = through_telephone(samples, CODECS[int(rng.integers(len(CODECS)))])
    # Resampled to 16 kHz, a codec's full scale may be overshot.
    return np.clip(heard, -1.0, 1.0)


def laptop(samples: Samples, rng: np.random.Generator) -> Samples:
    """A lid's microphone across the table: a small room, then the fan, a band of 150–6000 Hz and automatic gain."""
    if not samples.size:
        return samples.copy()
    heard = reverberate(samples, small_room(rng)) + fan(samples.size, rng)
    band = signal.butter(2, LAPTOP_BAND_HZ, "bandpass", fs=SAMPLE_RATE, output="sos")
    return automatic_gain(signal.sosfilt(band, heard).astype(np.float32))


def mic(samples: Samples, rng: np.random.Generator) -> Samples:
    """A good microphone near the mouth: flat within ±1 dB, its own noise at −80 dBFS, a level that never clips."""
    heard = through_microphone(samples, MIC_RESPONSE_DB, rng) + _white(samples.size, MIC_NOISE_DB, rng)
    return (heard / max(1.0, float(np.abs(heard).max(initial=0.0)))).astype(np.float32)


_THROUGH: dict[Device, Callable[[Samples, np.random.Generator], Samples]] = {
    "phone": phone,
    "laptop": laptop,
    "mic": mic,
}


def at_rate(samples: Samples, rate_hz: int) -> Samples:
    """Audio of shape (samples,) as it comes through `rate_hz`: resampled down and up again, same length, no delay.

    Raises EvaluationError for a rate that is not one of `RATES_HZ`.
    """
    if rate_hz not in RATES_HZ:
        raise EvaluationError(f"a rate of {rate_hz} Hz; the rates compared are {RATES_HZ[0]} and {RATES_HZ[1]} Hz")
    if rate_hz == SAMPLE_RATE or not samples.size:
        return samples.copy()
    # A whole number of samples at either rate, and more than the resampler's filter.
    padded = np.pad(samples, (0, SAMPLE_RATE // 50 + samples.size % 2))
    narrow = soxr.resample(padded, SAMPLE_RATE, rate_hz)
    return np.ascontiguousarray(soxr.resample(narrow, rate_hz, SAMPLE_RATE)[: samples.size], np.float32)


def small_room(rng: np.random.Generator) -> Samples:
    """A synthetic impulse response, shape (taps,): the direct sound, then noise that falls by 60 dB in `RT60_S`."""
    taps, first = round(RT60_S * SAMPLE_RATE), round(FIRST_REFLECTION_S * SAMPLE_RATE)
    decay = 10 ** (-3 * np.arange(taps) / taps)
    tail = rng.standard_normal(taps) * decay
    tail[:first] = 0.0
    tail *= np.sqrt(10 ** (-DIRECT_TO_REVERBERANT_DB / 10) / np.square(tail).sum())
    tail[0] = 1.0
    return tail.astype(np.float32)


def fan(size: int, rng: np.random.Generator) -> Samples:
    """A laptop's fan at `FAN_DB`, shape (size,): the rush of air and the tone of the blades."""
    rush = signal.lfilter([np.sqrt(1 - FAN_LOWPASS**2)], [1.0, -FAN_LOWPASS], rng.standard_normal(size))
    blades_hz, phase = rng.uniform(*FAN_BLADES_HZ), rng.uniform(0, 2 * np.pi)
    tone = np.sqrt(2) * np.sin(2 * np.pi * blades_hz * np.arange(size) / SAMPLE_RATE + phase)
    both: Samples = (10 ** (FAN_DB / 20) * np.sqrt(0.5) * (rush + tone)).astype(np.float32)
    return both


def automatic_gain(samples: Samples) -> Samples:
    """Audio of shape (samples,) amplified or attenuated by up to 24 dB, so that its loud parts come to −20 dBFS.

    The level followed rises within 20 ms and falls by 6 dB/s, so that noise is brought up in a long pause. A limiter
    that looks 10 ms ahead turns down an onset that would be above full scale.
    """
    blocks = np.pad(samples, (0, -samples.size % GAIN_BLOCK_SAMPLES)).reshape(-1, GAIN_BLOCK_SAMPLES)
    levels_db = 10 * np.log10(np.square(blocks, dtype=np.float64).mean(axis=1) + SILENCE)
    most_db = -10 * np.log10(np.square(blocks, dtype=np.float64).max(axis=1) + SILENCE)
    fall_db = GAIN_RELEASE_DB_PER_S * GAIN_BLOCK_SAMPLES / SAMPLE_RATE
    followed_db, followed = GAIN_TARGET_DB, [GAIN_TARGET_DB]
    for level_db in levels_db.tolist():
        if level_db > followed_db:
            followed_db += GAIN_ATTACK * (level_db - followed_db)
        else:
            followed_db = max(level_db, followed_db - fall_db, GAIN_TARGET_DB - GAIN_RANGE_DB)
        followed.append(followed_db)
    # At an edge of blocks the gain is what was known there, and no more than the block on either side can bear.
    known_db = np.maximum(GAIN_TARGET_DB - np.array(followed), -GAIN_RANGE_DB)
    bearable_db = np.minimum(np.append(most_db, np.inf), np.insert(most_db, 0, np.inf))
    edges = np.arange(known_db.size) * GAIN_BLOCK_SAMPLES
    gain_db = np.interp(np.arange(samples.size), edges, np.minimum(known_db, bearable_db))
    levelled: Samples = (samples * 10 ** (gain_db / 20)).astype(np.float32)
    return levelled


def response_db(
    device: Device, frequencies_hz: NDArray[np.floating], rate_hz: int = SAMPLE_RATE
) -> NDArray[np.float64]:
    """Power response at `frequencies_hz` of shape (frequencies,), relative to 1 kHz, in dB; the same shape.

    Measured, not computed: six pink noises of 14 s, each through a device drawn anew; what correlates with the
    noise that went in counts, so that fan and codec noise do not pass for a response. Averaged over thirds of an
    octave. Raises EvaluationError for a frequency outside 20–8000 Hz.
    """
    wanted_hz = np.asarray(frequencies_hz, np.float64)
    low_hz, high_hz = RESPONSE_HZ
    if not ((wanted_hz >= low_hz) & (wanted_hz <= high_hz)).all():
        raise EvaluationError(f"responses are measured from {low_hz:g} to {high_hz:g} Hz, not at {frequencies_hz}")
    power = np.mean([_probed(device, rate_hz, np.random.default_rng([42, probe])) for probe in range(PROBES)], axis=0)
    bins_hz = np.fft.rfftfreq(PROBE_SEGMENT_SAMPLES, 1 / SAMPLE_RATE)

    def band_power(centre_hz: float) -> float:
        half = 2 ** (BAND_OCTAVES / 2)
        return float(power[(bins_hz >= centre_hz / half) & (bins_hz <= centre_hz * half)].mean())

    bands = np.array([band_power(hz) for hz in wanted_hz.tolist()])
    return 10 * np.log10(np.maximum(bands / band_power(REFERENCE_HZ), 10 ** (RESPONSE_FLOOR_DB / 10)))


def _probed(device: Device, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """|H|² at each bin of one draw of the device, shape (bins,); where nothing comes through, as often below zero."""
    spectrum = np.fft.rfft(rng.standard_normal(round(PROBE_S * SAMPLE_RATE)))
    hz = np.fft.rfftfreq(round(PROBE_S * SAMPLE_RATE), 1 / SAMPLE_RATE)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, RESPONSE_HZ[0] / 2)))
    probe = (pink * 10 ** (PROBE_DB / 20) / pink.std()).astype(np.float32)
    heard = at_rate(through_device(device, probe, rng), rate_hz)
    settled = slice(round(PROBE_SETTLES_S * SAMPLE_RATE), None)
    first, second = zip(np.array_split(probe[settled], 2), np.array_split(heard[settled], 2), strict=True)
    # Noise is another one in the second half: in the product of both its mean is zero, in a square it would not be.
    return np.real(_transfer(*first) * np.conj(_transfer(*second)))


def _transfer(put_in: Samples, came_out: Samples) -> NDArray[np.complex128]:
    """H at each bin, shape (bins,): the cross spectrum of what went in and came out, over that of what went in."""
    wide = put_in.astype(np.float64)
    _, crossed = signal.csd(wide, came_out.astype(np.float64), SAMPLE_RATE, nperseg=PROBE_SEGMENT_SAMPLES)
    _, own = signal.welch(wide, SAMPLE_RATE, nperseg=PROBE_SEGMENT_SAMPLES)
    return np.asarray(crossed / own, np.complex128)


def _white(size: int, level_db: float, rng: np.random.Generator) -> Samples:
    return (10 ** (level_db / 20) * rng.standard_normal(size)).astype(np.float32)
