"""Another voice says the same: speed, pitch and formants (the resonances of the vocal tract), each on its own.

Resampling moves pitch and formants together; WSOLA (Verhelst and Roelands 1993), which repeats or leaves out whole
pitch periods, sets the length; a frame's true envelope (Röbel and Rodet 2005) puts the formants where they are wanted.
Pure functions on 16 kHz audio of shape (samples,), without randomness. They know nothing of files or labels.
"""

from functools import lru_cache

import numpy as np
import soxr
from numpy.typing import NDArray

from uyan.audio import FRAME_SAMPLES, SAMPLE_RATE, Samples

SPLICE_SAMPLES = 240
"""15 ms: one piece of sound fades into the next over this long."""
SEARCH_SAMPLES = 128
"""8 ms either way for the place where they agree best: half a period of the lowest voices, 63 Hz."""
NEARNESS = 0.03
"""Correlation that a place at the end of the search must gain over one without delay."""
SPLICE_FLOOR = 1e-6
"""Added to energies of SPLICE_SAMPLES samples: below it all places agree equally."""

ENVELOPE_SAMPLES = 512
ENVELOPE_HOP_SAMPLES = ENVELOPE_SAMPLES // 2
ENVELOPE_BINS = ENVELOPE_SAMPLES // 2 + 1
ENVELOPE_QUEFRENCIES = 52
"""3.25 ms: finer ripples of the spectrum are pitch, not formants. The last two fifths fade out."""
ENVELOPE_FADE = 0.4
ENVELOPE_LIFTS = 2
"""An envelope touches the harmonics instead of running between them and the gaps: how often the gaps are filled."""
ENVELOPE_LIMIT_DB = 20.0
"""No frequency is raised or lowered by more."""
ENVELOPE_FLOOR_POWER = 1e-6
"""Added to a frame's power spectrum: about the level of a quiet room's hiss, which has no formants."""
BLOCK_FRAMES, PRODUCT_FRAMES = 64, 16
"""Frames at once, and in one product: 16 × 257 × 52 multiplications wake no other threads (see `frontend`)."""
RESAMPLED_SHARE = 0.9
"""Of the band that resampling left, this much is used: its filter has eaten at the rest."""


def stretched_length(samples: int, speed_percent: float) -> int:
    """Length of so many samples at another speed; one frame of the front end remains where there was one.

    >>> stretched_length(16000, 25.0), stretched_length(16000, -20.0), stretched_length(410, 25.0)
    (12800, 20000, 400)
    """
    return max(round(samples / (1 + speed_percent / 100)), min(samples, FRAME_SAMPLES))


def change_voice(
    samples: Samples, speed_percent: float = 0.0, pitch_semitones: float = 0.0, formant_percent: float = 0.0
) -> Samples:
    """Speak faster, higher or with a smaller vocal tract (negative: the opposite); each leaves the other two alone.

    Returns `stretched_length` samples: what happened at time t happens at t / (1 + speed_percent / 100), to 8 ms.
    """
    pitch, formants = 2 ** (pitch_semitones / 12), 1 + formant_percent / 100
    length = stretched_length(samples.size, speed_percent)
    voice = samples.copy()
    if pitch != 1 and samples.size:
        voice = soxr.resample(samples, SAMPLE_RATE * pitch, SAMPLE_RATE)
    if voice.size != length or pitch != 1:
        voice = change_length(voice, length)
    if pitch != 1 or formants != 1:
        band_share = 1.0 if pitch == 1 else RESAMPLED_SHARE * min(1.0, pitch)
        voice = _move_envelope(voice, pitch / formants, band_share)
    return voice


def change_length(samples: Samples, length: int) -> Samples:
    """The same sound in `length` samples, pitch and timbre unchanged (WSOLA). Of nothing, silence is made."""
    splices = -(-length // SPLICE_SAMPLES)
    nominal = np.rint(np.arange(splices + 1) * (SPLICE_SAMPLES * samples.size / max(1, length))).astype(np.int64)
    padded = np.pad(samples, (SPLICE_SAMPLES + SEARCH_SAMPLES, 3 * SPLICE_SAMPLES + 2 * SEARCH_SAMPLES))
    starts = _agreeing_starts(padded, nominal)
    rise = np.square(np.sin(np.pi / 2 * (np.arange(SPLICE_SAMPLES) + 0.5) / SPLICE_SAMPLES)).astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, SPLICE_SAMPLES)
    # What would follow the old piece fades into the beginning of the new one.
    stretched = pieces[starts[:-1] + SPLICE_SAMPLES] * (1 - rise) + pieces[starts[1:]] * rise
    return np.ascontiguousarray(stretched.reshape(-1)[:length], np.float32)


def _agreeing_starts(padded: Samples, nominal: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in `padded` each piece starts, shape (pieces,): around `nominal`, where it agrees with the one before."""
    offsets = np.arange(-SEARCH_SAMPLES, SEARCH_SAMPLES + 1)
    farness = NEARNESS * np.abs(offsets) / SEARCH_SAMPLES
    reach = SPLICE_SAMPLES + 2 * SEARCH_SAMPLES
    energy = np.zeros(reach + 1)
    starts = np.empty_like(nominal)
    start = starts[0] = nominal[0] + SEARCH_SAMPLES
    for number, low in enumerate(nominal[1:].tolist(), 1):
        region = padded[low : low + reach]
        following = padded[start + SPLICE_SAMPLES : start + 2 * SPLICE_SAMPLES]
        np.square(region, dtype=np.float64).cumsum(out=energy[1:])
        energies = energy[SPLICE_SAMPLES:] - energy[:-SPLICE_SAMPLES]
        scale = np.sqrt((energies + SPLICE_FLOOR) * (float(following @ following) + SPLICE_FLOOR))
        agreement = np.correlate(region, following, "valid") / scale
        start = starts[number] = low + int((agreement - farness).argmax())
    return starts


def _move_envelope(samples: Samples, scale: float, band_share: float) -> Samples:
    """Sound whose spectral envelope at f is what it was at f × `scale`; same length, harmonics where they were.

    Above `band_share` of the band, where resampling left nothing, the frequencies below are mirrored: a consonant
    keeps its hiss. With frames half a frame apart the mirrored ones agree where they overlap.
    """
    count = -(-samples.size // ENVELOPE_HOP_SAMPLES) + 1
    rows = -(-count // PRODUCT_FRAMES) * PRODUCT_FRAMES
    padded = np.zeros((rows + 1) * ENVELOPE_HOP_SAMPLES, np.float32)
    padded[ENVELOPE_HOP_SAMPLES : ENVELOPE_HOP_SAMPLES + samples.size] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, ENVELOPE_SAMPLES)[::ENVELOPE_HOP_SAMPLES]
    window = np.sin(np.pi * (np.arange(ENVELOPE_SAMPLES) + 0.5) / ENVELOPE_SAMPLES).astype(np.float32)
    edge = round(band_share * (ENVELOPE_BINS - 1))
    mirrored = np.abs(2 * edge - np.arange(edge + 1, ENVELOPE_BINS))
    wanted = np.minimum(np.arange(ENVELOPE_BINS) * scale, ENVELOPE_BINS - 1)
    difference = _cosines(wanted) - _bases()[1]
    moved = np.zeros((rows + 1, ENVELOPE_HOP_SAMPLES), np.float32)
    for first in range(0, rows, BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[first : first + BLOCK_FRAMES] * window)
        spectrum[:, edge + 1 :] = spectrum[:, mirrored].conj()
        spectrum *= _gain(spectrum, difference)
        heard = np.fft.irfft(spectrum, ENVELOPE_SAMPLES) * window
        moved[first : first + len(heard)] += heard[:, :ENVELOPE_HOP_SAMPLES]
        moved[first + 1 : first + 1 + len(heard)] += heard[:, ENVELOPE_HOP_SAMPLES:]
    return moved.reshape(-1)[ENVELOPE_HOP_SAMPLES : ENVELOPE_HOP_SAMPLES + samples.size]


def _gain(spectrum: NDArray[np.complexfloating], difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each bin is multiplied by, shape (frames, bins) as `spectrum`.

    `difference` turns a cepstrum into the log power that each bin gains, shape (quefrencies, bins).
    """
    power = np.square(spectrum.real) + np.square(spectrum.imag) + np.float32(ENVELOPE_FLOOR_POWER)
    level = np.log(power).reshape(-1, PRODUCT_FRAMES, ENVELOPE_BINS)
    to_cepstrum, to_level = _bases()
    cepstrum = level @ to_cepstrum
    for _ in range(ENVELOPE_LIFTS):
        cepstrum = np.maximum(level, cepstrum @ to_level) @ to_cepstrum
    limit = np.float32(ENVELOPE_LIMIT_DB / 10 * np.log(10))
    gain: NDArray[np.float32] = np.exp(np.clip(cepstrum @ difference, -limit, limit) / 2)
    return gain.reshape(spectrum.shape)


def _cosines(bins: NDArray[np.number]) -> NDArray[np.float32]:
    """Times a cepstrum (frames, quefrencies), this is the log power at `bins`; shape (quefrencies, bins)."""
    quefrencies = np.arange(ENVELOPE_QUEFRENCIES)[:, None]
    twice = np.where(quefrencies == 0, 1.0, 2.0)  # a cepstrum is symmetric: all but the first are there twice
    basis: NDArray[np.float32] = twice * np.cos(2 * np.pi / ENVELOPE_SAMPLES * quefrencies * bins)
    return basis.astype(np.float32)


@lru_cache(maxsize=1)
def _bases() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """From log power to its smoothed cepstrum, shape (bins, quefrencies), and from there to the envelope."""
    quefrencies, bins = np.arange(ENVELOPE_QUEFRENCIES), np.arange(ENVELOPE_BINS)[:, None]
    fading = (quefrencies / ENVELOPE_QUEFRENCIES - (1 - ENVELOPE_FADE)) / ENVELOPE_FADE
    fade = 0.5 + 0.5 * np.cos(np.pi * np.maximum(fading, 0.0))
    twice = np.where((bins == 0) | (bins == ENVELOPE_BINS - 1), 1.0, 2.0)  # so is a spectrum: all between
    cosines = np.cos(2 * np.pi / ENVELOPE_SAMPLES * bins * quefrencies)
    return (twice * cosines * fade / ENVELOPE_SAMPLES).astype(np.float32), _cosines(bins[:, 0])
