"""Continuous audio to judge a detector on, made of a split's recordings.

A positive becomes one short stream: quiet, the recording, quiet. Negatives become long streams: long recordings as they
are, short ones one after another. The quiet is a faint hiss, as no microphone is ever silent. Optional noise is
mixed into a whole stream. It knows nothing of scores.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.audio_file import read, read_part, stream
from uyan.data.member import Member
from uyan.data.waveform import through_telephone
from uyan.engine.parallel import ahead
from uyan.errors import EvaluationError
from uyan.evaluation.names import data_set_names, recording_name
from uyan.storage.location import Location

LEAD_S = 1.5
"""Quiet before a positive: more than a window of 1.0 s, so that the detector is warm (`lead_for`)."""
TAIL_S = 1.0
"""Quiet after it: a detection up to this long after the recording's end still counts."""
GAP_S = 0.5
"""Quiet between short negatives; not counted in the hours."""
HISS_DB = -70.0
SHORT_S = 10.0
"""Negatives shorter than this are joined into streams of `JOINED_S`."""
JOINED_S = 300.0
NOISE_S, NOISE_STRETCH_S = 3600.0, 60
"""Noise to mix in: of more, an hour in stretches from all over it; that takes 230 MB."""
STRETCH_TRIES = 100
"""Noise recordings may hold pauses of digital silence; a stretch of nothing else is drawn again."""


@dataclass(frozen=True)
class Stream:
    """Some audio without a break."""

    name: str
    members: tuple[Member, ...]
    material_s: float
    """Of the recordings, without the quiet between."""
    heard_s: tuple[float, float]
    """From when to when a detection belongs to the recordings, in seconds of the stream."""
    blocks: Iterable[Samples]
    """Its audio in order, each (samples,), to be gone through once: a long recording is decoded on the way."""
    spans_s: tuple[tuple[float, float], ...]
    """For each of the members: from its first sample to the next one's, of the last to the end of `heard_s`."""


def positive_streams(
    members: Sequence[Member],
    noise: Samples | None = None,
    snr_db: float = np.inf,
    seed: int = 42,
    lead_s: float = LEAD_S,
    by_telephone: bool = False,
) -> Iterator[Stream]:
    """One stream a positive, after `lead_s` of quiet; with `noise` (samples,), at `snr_db`.

    The ratio is that of the voice (the recording's loudest fifth) to the mean power of the noise. The telephone takes
    all of the stream, the quiet too.
    """
    data_sets = data_set_names(members)
    for number, (member, recording) in enumerate(zip(members, _decoded(members), strict=True)):
        rng = np.random.default_rng([seed, number])
        quiet = [hiss(seconds, rng) for seconds in (lead_s, TAIL_S)]
        samples = np.concatenate([quiet[0], recording, quiet[1]])
        if noise is not None and np.isfinite(snr_db):
            samples = samples + scaled_noise(noise, samples.size, active_power(recording), snr_db, rng)
        seconds = recording.size / SAMPLE_RATE
        if by_telephone:
            samples = through_telephone(samples, "mu-law")
        heard_s = lead_s, lead_s + seconds + TAIL_S
        yield Stream(recording_name(member, data_sets), (member,), seconds, heard_s, (samples,), (heard_s,))


def negative_streams(members: Sequence[Member], seed: int = 42, lead_s: float = LEAD_S) -> Iterator[Stream]:
    """Negatives and noise as long streams, in the order given, each after `lead_s` of quiet.

    The quiet before lets the detector hear the first second, the quiet after lets the last votes count. However long
    a recording is, a few minutes of it are in memory.
    """
    rng = np.random.default_rng([seed, len(members)])
    data_sets = data_set_names(members)
    parts: list[Samples] = []
    joined: list[Member] = []
    joined_s = 0.0
    short = _decoded([member for member in members if member.duration_s < SHORT_S])
    for member in members:
        if member.duration_s >= SHORT_S:
            size = round(member.duration_s * SAMPLE_RATE)
            yield _between_quiet([member], _blocks(member, size), [size], data_sets, lead_s, rng)
            continue
        samples = next(short)
        joined.append(member)
        parts += [samples, hiss(GAP_S, rng)]
        joined_s += samples.size / SAMPLE_RATE
        if joined_s >= JOINED_S:
            yield _joined(joined, parts, data_sets, lead_s, rng)
            parts, joined, joined_s = [], [], 0.0
    if joined:
        yield _joined(joined, parts, data_sets, lead_s, rng)


def _blocks(member: Member, size: int) -> Iterator[Samples]:
    """A recording's samples, block by block."""
    heard = 0
    for block in stream(member.recording.file):
        heard += block.size
        yield block
    if heard != size:
        raise EvaluationError(
            f"{member.recording.file}: {heard} samples, and {size} when it was checked; it has changed meanwhile, "
            "start again"
        )


def _joined(
    members: Sequence[Member],
    parts: Sequence[Samples],
    data_sets: Mapping[Location, str],
    lead_s: float,
    rng: np.random.Generator,
) -> Stream:
    """Short recordings, each followed by its gap."""
    sizes = [part.size for part in parts]
    return _between_quiet(members, parts, sizes, data_sets, lead_s, rng)


def _between_quiet(
    members: Sequence[Member],
    parts: Iterable[Samples],
    sizes: Sequence[int],
    data_sets: Mapping[Location, str],
    lead_s: float,
    rng: np.random.Generator,
) -> Stream:
    name = recording_name(members[0], data_sets) + (f" and {len(members) - 1} more" if len(members) > 1 else "")
    lead, tail = hiss(lead_s, rng), hiss(TAIL_S, rng)
    # A long recording is one part; every short one is followed by its gap.
    by_member = np.array(sizes).reshape(len(members), -1)
    ends = lead.size + np.cumsum(by_member.sum(axis=1))
    edges_s = [lead_s, *(ends[:-1] / SAMPLE_RATE).tolist(), (int(ends[-1]) + tail.size) / SAMPLE_RATE]
    seconds = float(by_member[:, 0].sum()) / SAMPLE_RATE
    blocks = itertools.chain([lead], parts, [tail])
    return Stream(name, tuple(members), seconds, (0.0, edges_s[-1]), blocks, tuple(itertools.pairwise(edges_s)))


def lead_for(window_s: float) -> float:
    """Seconds of quiet before what is judged, for a detector with that window: it must have scored whole windows.

    >>> lead_for(1.0), lead_for(1.3)
    (1.5, 1.8)
    """
    return max(LEAD_S, window_s + 0.5)


def joined_noise(members: Sequence[Member], seed: int = 42, most_s: float = NOISE_S) -> Samples | None:
    """Noise recordings one after the other, shape (samples,), to mix in; None where there are none.

    Of more than `most_s` seconds, random stretches of up to `NOISE_STRETCH_S` from all recordings alike, until they
    make so much; stretches without any sound are left out.
    """
    if not members:
        return None
    if sum(member.duration_s for member in members) <= most_s:
        return np.concatenate(list(_decoded(members)))
    return _stretches(members, np.random.default_rng([seed, len(members)]), round(most_s * SAMPLE_RATE))


def _stretches(members: Sequence[Member], rng: np.random.Generator, most: int) -> Samples:
    """Each stretch of the recordings once at most, in random order, until there are `most` samples: (samples,)."""
    starts_s = [
        (member, start_s) for member in members for start_s in range(0, math.ceil(member.duration_s), NOISE_STRETCH_S)
    ]
    parts, size = [np.zeros(0, np.float32)], 0
    for at in rng.permutation(len(starts_s)).tolist():
        member, start_s = starts_s[at]
        part = read_part(member.recording.file, start_s, start_s + NOISE_STRETCH_S)
        if part.any():
            parts.append(part)
            size += part.size
        if size >= most:
            break
    return np.concatenate(parts)[:most]


def _decoded(members: Sequence[Member]) -> Iterator[Samples]:
    """The recordings' samples, in order."""
    return ahead(read, (member.recording.file for member in members))


def hiss(seconds: float, rng: np.random.Generator) -> Samples:
    """White noise at −70 dBFS, shape (samples,)."""
    amplitude = 10 ** (HISS_DB / 20)
    return (amplitude * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def active_power(samples: Samples) -> float:
    """Mean power of the loudest fifth of 25 ms blocks of (samples,): the voice, without the pauses around it."""
    block = SAMPLE_RATE // 40
    whole = samples[: samples.size // block * block].reshape(-1, block)
    power = np.sort(np.square(whole).mean(axis=1))
    return float(power[-max(1, power.size // 5) :].mean())


def scaled_noise(noise: Samples, size: int, speech_power: float, snr_db: float, rng: np.random.Generator) -> Samples:
    """A random stretch of `noise` (samples,), repeated if too short, at `snr_db` below `speech_power`; shape (size,).

    Raises EvaluationError when no stretch with any sound is found.
    """
    for _ in range(STRETCH_TRIES):
        start = int(rng.integers(0, max(1, noise.size - size)))
        stretch = np.resize(noise[start : start + size], size)
        power = float(np.square(stretch, dtype=np.float64).mean())
        if power > 0:
            return stretch * np.float32(np.sqrt(speech_power / power * 10 ** (-snr_db / 10)))
    raise EvaluationError("the noise to mix in is silent; check the noise recordings of this split")
