"""The domain-shift suite: how often a word is missed through other devices, rates and noise (MISSION 5.2).

24 cells of 200 positive streams each, judged by the bundle at its own threshold. Noise is added in the air, before the
device hears it. Only misses: a false alarm needs hours, which these streams are not. Where the recordings are fewer
than the samples they come back in other noise, and no interval over samples knows that; the one over speakers does. It
knows nothing of splits: that the speakers were never heard in training is the caller's to see to.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.audio_file import read
from uyan.bundle import Bundle
from uyan.data.member import Member, is_positive
from uyan.engine.parallel import Progress, silent
from uyan.errors import EvaluationError
from uyan.evaluation.claims import voices_claim
from uyan.evaluation.devices import DEVICES, RATES_HZ, Device, at_rate, through_device
from uyan.evaluation.intervals import Interval, clopper_pearson, speaker_bootstrap
from uyan.evaluation.pooling import PerSpeaker, misses_by_speaker
from uyan.evaluation.scores import ScoreTrack, missed, score_streams
from uyan.evaluation.streams import LEAD_S, TAIL_S, Stream, active_power, hiss, scaled_noise
from uyan.frontend import HOP_S

SAMPLES = 200
"""Streams a cell."""
SNR_DB = (0.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True)
class Cell:
    """One way to be heard."""

    rate_hz: int
    snr_db: float
    """Of the voice to the noise, in the air."""
    device: Device

    @property
    def name(self) -> str:
        """For progress and tables.

        >>> Cell(8000, 5.0, "phone").name
        'phone, 8 kHz, 5 dB SNR'
        """
        return f"{self.device}, {self.rate_hz / 1000:g} kHz, {self.snr_db:g} dB SNR"


CELLS = tuple(itertools.starmap(Cell, itertools.product(RATES_HZ, SNR_DB, DEVICES)))
"""A cell's place in here seeds its samples, whichever cells are asked for and in whatever order."""


@dataclass(frozen=True)
class CellResult:
    """Misses in one cell."""

    cell: Cell
    samples: int
    """Streams judged."""
    recordings: int
    """Distinct ones behind the samples."""
    speakers: int
    misses: int
    miss_rate: float
    miss_interval: Interval
    """As if every sample were a trial of its own (Clopper–Pearson)."""
    speaker_interval: Interval
    """By drawing whole speakers: the one to trust."""
    per_speaker: PerSpeaker


@dataclass(frozen=True)
class ShiftResult:
    """All cells, and their mean."""

    label: str
    threshold: float
    seed: int
    cells: tuple[CellResult, ...]
    samples: int
    """In all cells together: the denominator of `miss_rate`."""
    recordings: int
    speakers: int
    misses: int
    miss_rate: float
    """Every cell counts the same."""
    speaker_interval: Interval
    notes: tuple[str, ...]
    """What the reader of any of these figures must know."""
    voices: str = ""
    """The first thing to know where machines spoke the word."""


def shift(
    bundle: Bundle,
    positives: Sequence[Member],
    noise: Samples | None,
    cells: Sequence[Cell] = CELLS,
    samples: int = SAMPLES,
    seed: int = 42,
    lead_s: float = LEAD_S,
    progress: Progress = silent,
) -> ShiftResult:
    """Misses of the bundle, at its own threshold, on `samples` streams of the positives in each cell.

    `noise` (samples,) is all of the noise joined; `lead_s` of quiet must be more than the bundle's window. A detection
    counts while the recording is heard. Raises EvaluationError without positives or noise, for positives of another
    word, for a cell that is not of the suite, and for a score that is not a number.
    """
    if noise is None or not noise.size:
        raise EvaluationError("no noise to mix in; add recordings of kind noise to this split")
    _require_fitting(bundle, positives, lead_s)
    _require_suite(cells, samples)
    # Decoded once: all cells hear the same recordings.
    recordings = [(member, read(member.recording.file)) for member in spread(positives, samples)]
    results = []
    for cell in cells:
        streams = cell_streams(cell, recordings, noise, samples, seed, lead_s)
        tracks = score_streams(f"shift: {cell.name}", bundle, streams, samples, progress)
        results.append(_cell_result(cell, tracks, bundle, seed))
    together = _together(bundle, tuple(results), {m.content_sha1 for m, _ in recordings}, seed)
    spoken = Counter(member.recording.speaker_id for member, _ in recordings)
    return replace(together, voices=voices_claim({speaker: (0, count) for speaker, count in spoken.items()}))


def cell_streams(
    cell: Cell,
    recordings: Sequence[tuple[Member, Samples]],
    noise: Samples,
    samples: int = SAMPLES,
    seed: int = 42,
    lead_s: float = LEAD_S,
) -> Iterator[Stream]:
    """The cell's streams: recordings in turn, each time in another stretch of noise, as the device delivers them.

    A sample is a function of the seed, the cell, its number, its recording and the noise, and of nothing else.
    """
    cell_number = CELLS.index(cell)
    for number in range(samples):
        rng = np.random.default_rng([seed, cell_number, number])
        member, recording = recordings[number % len(recordings)]
        voice, background = in_the_air(recording, noise, cell.snr_db, lead_s, rng)
        heard = at_rate(through_device(cell.device, voice + background, rng), cell.rate_hz)
        seconds = recording.size / SAMPLE_RATE
        heard_s = lead_s, lead_s + seconds + TAIL_S
        name = f"{member.recording.root.name}/{member.recording.path} ({cell.name}, sample {number})"
        yield Stream(name, (member,), seconds, heard_s, (heard,), (heard_s,))


def in_the_air(
    recording: Samples, noise: Samples, snr_db: float, lead_s: float, rng: np.random.Generator
) -> tuple[Samples, Samples]:
    """A recording between quiet, and the noise around it at `snr_db`: what a device hears is their sum, (samples,).

    As in `positive_streams`: the voice's power is that of the recording's loudest fifth, the noise's its mean.
    """
    voice = np.concatenate([hiss(lead_s, rng), recording, hiss(TAIL_S, rng)])
    return voice, scaled_noise(noise, voice.size, active_power(recording), snr_db, rng)


def spread(positives: Sequence[Member], samples: int) -> list[Member]:
    """All positives, or as many as there are samples, taken evenly from first to last: not the first speakers' alone.

    >>> spread(["a1", "a2", "b1", "b2", "c1", "c2"], 3)
    ['a1', 'b1', 'c1']
    """
    count = min(len(positives), samples)
    return [positives[number * len(positives) // count] for number in range(count)]


def table(result: ShiftResult) -> list[dict[str, str | int | float]]:
    """A row a cell, for CSV or JSON; rates and bounds are shares."""
    return [
        {
            "device": found.cell.device,
            "rate_hz": found.cell.rate_hz,
            "snr_db": found.cell.snr_db,
            "samples": found.samples,
            "recordings": found.recordings,
            "speakers": found.speakers,
            "misses": found.misses,
            "miss_rate": found.miss_rate,
            "miss_low": found.miss_interval.low,
            "miss_high": found.miss_interval.high,
            "speaker_low": found.speaker_interval.low,
            "speaker_high": found.speaker_interval.high,
        }
        for found in result.cells
    ]


def _require_fitting(bundle: Bundle, positives: Sequence[Member], lead_s: float) -> None:
    label = bundle.info.label
    if not positives:
        raise EvaluationError(f"no positives; add recordings of “{label}” to this split")
    for member in positives:
        if not is_positive(member.recording, label):
            said = f"{member.recording.path} is of “{member.recording.label}” ({member.recording.kind})"
            raise EvaluationError(f"{said}, but the bundle listens for “{label}”; choose the data it was made for")
    window_s = bundle.info.window_frames * HOP_S
    if not lead_s > window_s:
        raise EvaluationError(f"{lead_s:g} s of quiet before a word, but the window is {window_s:g} s; lead in longer")


def _require_suite(cells: Sequence[Cell], samples: int) -> None:
    if samples < 1:
        raise EvaluationError(f"{samples} samples a cell; at least 1 is needed, {SAMPLES} are usual")
    if not cells or len(set(cells)) < len(cells):
        raise EvaluationError(f"{len(cells)} cells, {len(set(cells))} of them distinct; name each cell once")
    strangers = [cell.name for cell in cells if cell not in CELLS]
    if strangers:
        rates = " or ".join(f"{rate_hz}" for rate_hz in RATES_HZ)
        ratios = ", ".join(f"{snr_db:g}" for snr_db in SNR_DB)
        raise EvaluationError(f"no cells of the suite: {strangers}; it has {rates} Hz, {ratios} dB, {DEVICES}")


def _cell_result(cell: Cell, tracks: Sequence[ScoreTrack], bundle: Bundle, seed: int) -> CellResult:
    misses_of = missed(tracks, bundle.info.threshold, bundle.info.detector)
    speakers = misses_by_speaker(tracks, misses_of.tolist())
    misses, count = int(misses_of.sum()), len(tracks)
    return CellResult(
        cell=cell,
        samples=count,
        recordings=len({part.take for track in tracks for part in track.parts}),
        speakers=len(speakers),
        misses=misses,
        miss_rate=misses / count,
        miss_interval=clopper_pearson(misses, count),
        speaker_interval=speaker_bootstrap(speakers, np.random.default_rng(seed)),
        per_speaker=speakers,
    )


def _together(bundle: Bundle, cells: tuple[CellResult, ...], takes: Set[str], seed: int) -> ShiftResult:
    speakers: dict[str, tuple[int, int]] = {}
    for name in cells[0].per_speaker:
        counts = [cell.per_speaker[name] for cell in cells]
        speakers[name] = sum(misses for misses, _ in counts), sum(count for _, count in counts)
    misses, samples = sum(cell.misses for cell in cells), sum(cell.samples for cell in cells)
    return ShiftResult(
        label=bundle.info.label,
        threshold=bundle.info.threshold,
        seed=seed,
        cells=cells,
        samples=samples,
        recordings=len(takes),
        speakers=len(speakers),
        misses=misses,
        miss_rate=misses / samples,
        speaker_interval=speaker_bootstrap(speakers, np.random.default_rng(seed)),
        notes=_notes(cells[0], len(cells)),
    )


def _notes(any_cell: CellResult, cells: int) -> tuple[str, ...]:
    samples, recordings, speakers = any_cell.samples, any_cell.recordings, any_cell.speakers
    behind = f"{recordings} distinct recording{'s' * (recordings > 1)} of {speakers} speaker{'s' * (speakers > 1)}"
    notes = [f"behind the {samples} samples of a cell stand {behind}, the same in all of the {cells} cells"]
    if recordings < samples:
        notes.append(
            f"a recording is heard up to {-(-samples // recordings)} times a cell, each time in other noise: these are "
            f"not {samples} independent trials, and the interval over samples is too narrow; trust that over speakers"
        )
    if speakers == 1:
        notes.append("one speaker says nothing about other voices")
    notes.append("misses alone: false alarms through these devices were not measured")
    notes.append("a phone carries 300–3400 Hz at either rate: its cells at 8 and at 16 kHz differ by chance alone")
    return tuple(notes)
