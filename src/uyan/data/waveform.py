"""What happens to sound between a mouth and a network: a room, a microphone, a level, its rails, a telephone.

Pure functions on 16 kHz audio of shape (samples,); none changes its length or moves it in time, so a word stays where
it was. They know nothing of files, labels or which recording gets what (`variants`); `voice_change` changes who speaks.
"""

from typing import cast

import numpy as np
import soxr
from scipy import signal

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.variants import Codec
from uyan.errors import AudioError

DIRECT_SHARE = 0.25
"""The direct path is the first arrival within 12 dB of the strongest: behind a corner a reflection may be louder."""
MICROPHONE_TAPS = 257
MICROPHONE_LOW_HZ, MICROPHONE_BANDS = 60.0, 9
"""A microphone's response is drawn at this many frequencies, evenly spaced in octaves up to 8 kHz."""
TELEPHONE_RATE = 8_000
TELEPHONE_BAND_HZ = (300.0, 3400.0)
TELEPHONE_TAPS = 129
"""A transition of 200 Hz at 8 kHz: mains hum and everything below 200 Hz is gone."""
MU = 255
MU_LAW_LEVELS = 127
"""8 bits: a sign and this many steps."""
GSM_EMPHASIS = 28_180 / 32_768
GSM_BLOCK_SAMPLES = 40
"""Pre-emphasis and block length of GSM 06.10."""
GSM_LEVELS = 8


def reverberate(samples: Samples, response: Samples) -> Samples:
    """Sound in the room whose impulse response, shape (taps,), is given; same length, about the same level.

    The direct path takes no time. Raises AudioError when the response is silent.

    >>> reverberate(np.float32([1, 0, 0, 0]), np.float32([0, 4, 3])).round(4)
    array([0.8, 0.6, 0. , 0. ], dtype=float32)
    """
    magnitude = np.abs(response)
    energy = float(np.square(response, dtype=np.float64).sum())
    if energy == 0:
        raise AudioError("a room response of nothing but zeros; leave it out")
    direct = int(np.argmax(magnitude >= DIRECT_SHARE * magnitude.max()))
    heard = signal.oaconvolve(samples, (response / np.sqrt(energy)).astype(np.float32))
    return np.ascontiguousarray(heard[direct : direct + samples.size], np.float32)


def through_microphone(samples: Samples, response_db: float, rng: np.random.Generator) -> Samples:
    """A microphone whose smooth random frequency response stays within ±`response_db`; no delay (linear phase)."""
    if not samples.size:
        return samples.copy()
    return cast(Samples, signal.oaconvolve(samples, _microphone(response_db, rng), mode="same").astype(np.float32))


def _microphone(response_db: float, rng: np.random.Generator) -> Samples:
    """A symmetric impulse response, shape (MICROPHONE_TAPS,)."""
    corners_hz = np.geomspace(MICROPHONE_LOW_HZ, SAMPLE_RATE / 2, MICROPHONE_BANDS)
    corners_db = rng.uniform(-response_db, response_db, MICROPHONE_BANDS)
    bins_hz = np.fft.rfftfreq(2 * MICROPHONE_TAPS, 1 / SAMPLE_RATE)
    bins_db = np.interp(np.log(np.maximum(bins_hz, 1.0)), np.log(corners_hz), corners_db)
    impulse = np.fft.fftshift(np.fft.irfft(10 ** (bins_db / 20)))
    start = impulse.size // 2 - MICROPHONE_TAPS // 2
    # A Hann window over the impulse is an average over neighbouring frequencies: never beyond the corners.
    window = signal.windows.hann(MICROPHONE_TAPS + 2)[1:-1]
    return (impulse[start : start + MICROPHONE_TAPS] * window).astype(np.float32)


def change_level(samples: Samples, gain_db: float) -> Samples:
    """Louder or quieter by `gain_db`; nothing is clipped.

    >>> change_level(np.float32([0.01, -0.02]), 20.0).round(4)
    array([ 0.1, -0.2], dtype=float32)
    """
    return (samples * np.float32(10 ** (gain_db / 20))).astype(np.float32)


def clip(samples: Samples, drive_db: float) -> Samples:
    """Amplified until the peak would stand `drive_db` above full scale, and cut off at ±1. Silence stays silence.

    >>> clip(np.float32([0.01, -0.02, 0.005]), 6.0206).round(3).tolist()
    [1.0, -1.0, 0.5]
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0:
        return samples.copy()
    drive = 10 ** (drive_db / 20) / peak
    return np.clip(samples.astype(np.float64) * drive, -1.0, 1.0).astype(np.float32)


def through_telephone(samples: Samples, codec: Codec) -> Samples:
    """300–3400 Hz at 8 kHz through a codec, back at 16 kHz; same length, no delay.

    What is louder than full scale is turned down until it fits, as a telephone's level control does.
    """
    if not samples.size:
        return samples.copy()
    narrow = soxr.resample(samples, SAMPLE_RATE, TELEPHONE_RATE)
    # Silence around it, so that nothing is shorter than the filters.
    line = np.convolve(np.pad(narrow, TELEPHONE_TAPS), _telephone_band(), mode="same")
    line = (line / max(1.0, float(np.abs(line).max()))).astype(np.float32)
    heard = mu_law(line) if codec == "mu-law" else gsm_like(line)
    wide = soxr.resample(heard, TELEPHONE_RATE, SAMPLE_RATE)
    start = TELEPHONE_TAPS * SAMPLE_RATE // TELEPHONE_RATE
    return np.ascontiguousarray(wide[start : start + samples.size], np.float32)


def _telephone_band() -> Samples:
    taps = signal.firwin(TELEPHONE_TAPS, TELEPHONE_BAND_HZ, pass_zero=False, fs=TELEPHONE_RATE)
    return taps.astype(np.float32)


def mu_law(samples: Samples) -> Samples:
    """Audio within ±1 after µ-law companding to 8 bits and back: steps grow with the level, as in ITU-T G.711.

    >>> mu_law(np.float32([0.0, 1.0, -1.0, 0.00004, 0.5])).round(4)
    array([ 0.    ,  1.    , -1.    ,  0.    ,  0.4953], dtype=float32)
    """
    steps = np.rint(np.log1p(MU * np.abs(samples)) * np.float32(MU_LAW_LEVELS / np.log1p(MU)))
    magnitude = np.expm1(steps * np.float32(np.log1p(MU) / MU_LAW_LEVELS)) / np.float32(MU)
    companded: Samples = np.copysign(magnitude, samples).astype(np.float32)
    return companded


def gsm_like(samples: Samples) -> Samples:
    """8 kHz audio as coarse as a mobile call's: 3 bits a sample, scaled to each block of 5 ms, under pre-emphasis.

    Not GSM 06.10, whose prediction is left out, but noise of about its strength (13 dB below speech) and of speech's
    own tilt.
    """
    emphasised = signal.lfilter([1.0, -GSM_EMPHASIS], [1.0], samples)
    blocks = np.pad(emphasised, (0, -samples.size % GSM_BLOCK_SAMPLES)).reshape(-1, GSM_BLOCK_SAMPLES)
    peaks = np.abs(blocks).max(axis=1, keepdims=True, initial=0.0)
    half = GSM_LEVELS // 2
    shares = np.divide(blocks * half, peaks, out=np.zeros_like(blocks), where=peaks > 0)
    coarse = (np.clip(np.floor(shares), -half, half - 1) + 0.5) / half * peaks
    decoded = signal.lfilter([1.0], [1.0, -GSM_EMPHASIS], coarse.ravel()[: samples.size])
    return np.clip(decoded, -1.0, 1.0).astype(np.float32)
