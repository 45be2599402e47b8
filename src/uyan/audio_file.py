"""Audio files: anything libsndfile reads becomes mono float32 at 16 kHz: whole, block by block, or a part of it.

The one place where files are decoded and written and rates converted for reading. A file is used as a whole or refused
with an `AudioError`, wherever it lies; where a server is to blame and not the file, with a `StorageError`. A detector
that is fed samples does without it, and so without its libraries.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from uyan.audio import FRAME_SAMPLES, SAMPLE_RATE, Samples, to_float
from uyan.errors import AudioError, MissingFileError
from uyan.storage.access import Readable, opened
from uyan.storage.location import Location

BLOCK_S = 60.0
MARGIN_S = 1
"""Decoded on either side of a part: the conversion of a rate looks some samples back and ahead."""


class Header(NamedTuple):
    """What a file says of itself."""

    duration_s: float
    log: str
    """libsndfile's notes on how it understood the file."""


def read(path: Location) -> Samples:
    """The whole file as mono 16 kHz float32, shape (samples,).

    Raises AudioError, naming the file, when it is missing, cannot be decoded, is shorter than one frame
    (25 ms), contains NaN or Inf, or holds nothing but zeros.
    """
    with _opened(path) as sound:
        blocks = list(_blocks(sound, BLOCK_S))
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if samples.size < FRAME_SAMPLES:
        length_ms = 1000 * samples.size / SAMPLE_RATE
        raise AudioError(f"{path}: {length_ms:.0f} ms of audio; at least 25 ms are needed")
    if not samples.any():
        raise AudioError(f"{path}: every sample is zero")
    return samples


def header(path: Location) -> Header:
    """What the file's header says. Raises AudioError, naming the file, where there is none to be read."""
    with _opened(path) as sound:
        return Header(float(sound.frames / sound.samplerate), str(sound.extra_info))


def read_part(path: Location, start_s: int, stop_s: int) -> Samples:
    """Whole seconds [start_s, stop_s) of a file, as far as it goes, shape (samples,); the rest is not decoded.

    Equal to that part of `read`, but for what a lossy format or the conversion of a rate remember from further back.
    Raises AudioError, naming the file, when it is missing or cannot be decoded.
    """
    before_s = min(MARGIN_S, start_s)
    with _opened(path) as sound:
        if not sound.seekable():  # GSM and the like: from the beginning, block by block
            return _part(_blocks(sound, BLOCK_S), start_s * SAMPLE_RATE, stop_s * SAMPLE_RATE)
        sound.seek(min((start_s - before_s) * sound.samplerate, sound.frames))
        frames = (stop_s - start_s + before_s + MARGIN_S) * sound.samplerate
        mono = _mono(sound.read(frames, dtype="float32", always_2d=True))
        if sound.samplerate != SAMPLE_RATE:
            mono = soxr.resample(mono, sound.samplerate, SAMPLE_RATE)
    return mono[before_s * SAMPLE_RATE : (before_s + stop_s - start_s) * SAMPLE_RATE]


def _part(blocks: Iterator[Samples], start: int, stop: int) -> Samples:
    """Samples [start, stop) of what the blocks make together."""
    parts, at = [np.zeros(0, np.float32)], 0
    for block in blocks:
        parts.append(block[max(0, start - at) : max(0, stop - at)])
        at += block.size
        if at >= stop:
            break
    return np.concatenate(parts)


def stream(path: Readable, block_s: float = BLOCK_S) -> Iterator[Samples]:
    """Decode a file of any length block by block, in constant memory; blocks join up without a seam.

    Yields mono 16 kHz float32 arrays of shape (samples,) of about `block_s` seconds. A remote file is fetched in
    ranges, a little ahead, and not kept. Raises AudioError, naming the file, as soon as a block cannot be decoded.
    """
    with _opened(path, keep=False) as sound:
        yield from _blocks(sound, block_s)


@contextmanager
def _opened(path: Readable, keep: bool = True) -> Iterator[soundfile.SoundFile]:
    """The file for decoding; whatever is wrong with it is an AudioError that names it."""
    try:
        with opened(path, keep) as source, soundfile.SoundFile(source) as sound:
            yield sound
    except (FileNotFoundError, MissingFileError) as reason:
        raise AudioError(f"{path}: no such file") from reason
    except (OSError, soundfile.SoundFileError, RuntimeError) as reason:
        detail = reason.strerror if isinstance(reason, OSError) else getattr(reason, "error_string", reason)
        raise AudioError(f"{path}: cannot be decoded ({detail})") from reason
    except AudioError as reason:
        raise AudioError(f"{path}: {reason}") from reason


def _blocks(sound: soundfile.SoundFile, block_s: float) -> Iterator[Samples]:
    rate = int(sound.samplerate)
    resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    size = max(1, int(block_s * rate))
    while True:
        block = sound.read(size, dtype="float32", always_2d=True)
        last = len(block) < size
        mono = _mono(block)
        if resampler is not None:
            mono = resampler.resample_chunk(mono, last=last)
        if mono.size:
            yield mono
        if last:
            return


def _mono(block: NDArray[np.float32]) -> Samples:
    """The mean of the channels of (samples, channels)."""
    return to_float(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32))


def write(path: Path, samples: Samples) -> None:
    """Write mono 16 kHz audio of shape (samples,) as 16-bit WAV; values beyond ±1 are clipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), np.clip(samples, -1.0, 1.0), SAMPLE_RATE, subtype="PCM_16", format="WAV")
