"""A folder of synthetic recordings of a word: planned, made in processes, judged, listed in a manifest.

The same order gives the same files, in whatever number of processes and however often interrupted. It knows no engine.
"""

import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from uyan.engine.parallel import Progress, silent
from uyan.engine.task_map import Lost
from uyan.errors import ConfigError, VoiceError
from uyan.voices.clip import Clip, Made, Making
from uyan.voices.corpus_folder import DROPPED_FILE, JOURNAL_FILE, MANIFEST_FILE, claimed, write_table
from uyan.voices.journal import Journal
from uyan.voices.judging import judge
from uyan.voices.limited_pool import run_limited
from uyan.voices.order import Order
from uyan.voices.speech import Engine, EngineVoice
from uyan.voices.variation import speakers

COLUMNS = (
    *("path", "label", "speaker_id", "duration_s", "kind", "license", "source"),
    *("text", "language", "start_s", "end_s"),
)
"""Those of every manifest, and what is known beside: the place of the word makes it a table of annotations too."""
NO_FOLDER, FOLDER_CHARS = re.compile(r"[^\w+~.-]"), 120
"""What stands in no folder's name, which is made of the speaker's; the clip's number keeps files apart."""
ROUNDS = 10
"""How often dropped clips are replaced by others."""
ATTEMPTS = 4
"""A voice whose first clips all fail is given up."""
GIVEN_UP = f"voice given up: its first {ATTEMPTS} clips failed"


@dataclass(frozen=True)
class Corpus:
    """What was made."""

    manifest: Path
    clips: int
    speakers: int
    hours: float
    dropped: dict[str, int]
    """Reason, in short, and how many."""
    unlisted: int
    """Clips of an earlier, larger count, which are there and not in the manifest."""


def generate(
    order: Order,
    engines: Sequence[Engine],
    voices: Sequence[EngineVoice],
    folder: Path,
    count: int,
    workers: int = 1,
    limit_s: float = 60.0,
    progress: Progress = silent,
) -> Corpus:
    """Make `count` clips below `folder` and list them in its manifest; dropped ones are replaced and listed too.

    Fewer are made where too many are dropped. Raises ConfigError for an order that makes no sense or is another than
    the folder's, and while another process is at work there; VoiceError when the voices cannot make so
    many, or the disk is full.
    """
    if count < 1:
        raise ConfigError(f"{count} clips; ask for at least one")
    if not voices:
        raise VoiceError("no voice to speak with; `uyan voices list` shows what is there")
    plan, making = planned(order, voices), Making(tuple(engines), folder, order.seed)
    clips = list(itertools.islice(plan, count))
    with claimed(folder, order, voices):
        with Journal(folder / JOURNAL_FILE) as journal:
            make = partial(_make, making=making, journal=journal, workers=workers, limit_s=limit_s, progress=progress)
            made, dropped = _fill(clips, plan, make, journal, folder)
        for stray in folder.rglob(".*.tmp"):  # of processes that were killed while they wrote
            stray.unlink(missing_ok=True)
        return _listed(order, folder, made, dropped)


def _fill(
    clips: list[Clip], plan: Iterator[Clip], make: Callable[[Sequence[Clip]], None], journal: Journal, folder: Path
) -> tuple[list[tuple[Clip, Made]], list[tuple[Clip, str]]]:
    """Make the clips and, of those that follow in the plan, one for each dropped: what is there, what is not."""
    count, dropped, more = len(clips), dict[int, str](), list[Clip]()
    for _ in range(ROUNDS):
        make(clips)
        dropped = judge([(clip, _known(journal, clip, folder)) for clip in clips]) | dropped
        more = _as_many(plan, count - (len(clips) - len(dropped)))
        if not more:
            break
        clips = clips + more
    clips = clips[: len(clips) - len(more)]
    kept = [clip for clip in clips if clip.number not in dropped]
    for clip in kept:
        journal.keep(clip)
    make(kept)
    made = [(clip, _known(journal, clip, folder)) for clip in kept]
    dropped |= {clip.number: known.failure for clip, known in made if known.failure}
    unused = [(clip, dropped[clip.number]) for clip in clips if clip.number in dropped]
    for clip, reason in unused:
        journal.drop(clip, reason)
        (folder / clip.path).unlink(missing_ok=True)
    return [(clip, known) for clip, known in made if not known.failure], unused


def _listed(
    order: Order, folder: Path, made: Sequence[tuple[Clip, Made]], dropped: Sequence[tuple[Clip, str]]
) -> Corpus:
    """The tables, of what is used last. Raises VoiceError where nothing is."""
    rows = list(dict.fromkeys(_dropped_row(clip, reason) for clip, reason in dropped))
    write_table(folder / DROPPED_FILE, ("speaker_id", "take", "text", "reason"), rows)
    if not made:
        raise VoiceError(f"no clip could be made: {dropped[0][1]} ({folder / DROPPED_FILE} lists all)")
    write_table(folder / MANIFEST_FILE, COLUMNS, [_row(order, clip, known) for clip, known in made])
    return Corpus(
        folder / MANIFEST_FILE,
        len(made),
        len({clip.speaker.id for clip, _ in made}),
        sum(known.duration_s for _, known in made) / 3600,
        dict(Counter(str(reason).partition(": ")[0][:60] for *_, reason in rows)),
        sum(1 for _ in (folder / order.kind).rglob(f"*.{order.format}")) - len(made),
    )


def _dropped_row(clip: Clip, reason: str) -> tuple[object, ...]:
    """A voice that is given up has one row, whatever it was to say."""
    if reason == GIVEN_UP:
        return (f"tts:{clip.speaker.voice.engine}:{clip.speaker.voice.name}", "", "", reason)
    return (clip.speaker.id, clip.take, clip.phrase.text, reason)


def planned(order: Order, voices: Sequence[EngineVoice]) -> Iterator[Clip]:
    """The clips in order, as many as are asked for: the first are the same however many follow."""
    phrases, labels = order.phrases(), order.labels()
    rng = np.random.default_rng((order.seed, 1))
    numbers, draws = itertools.count(), order.draws(rng)
    for speaker in speakers(voices, rng):
        folder = NO_FOLDER.sub("_", speaker.id)[:FOLDER_CHARS]
        for take, at in enumerate(itertools.islice(draws, order.takes)):
            number, phrase = next(numbers), phrases[at]
            path = f"{order.kind}/{folder}/{number:06d}.{order.format}"
            yield Clip(number, speaker, take, phrase, labels[at], path)


def _make(
    clips: Sequence[Clip], making: Making, journal: Journal, workers: int, limit_s: float, progress: Progress
) -> None:
    """Make those that are not there yet; first the few by which a voice is judged, whoever is quicker."""
    done = sum(journal.made(clip, making.folder) is not None for clip in clips)
    progress("synthesise", done, len(clips))
    for attempt in (True, False):
        given_up = set() if attempt else _given_up(clips, journal, making.folder)
        waiting = []
        for clip in _attempts(clips, attempt):
            if journal.made(clip, making.folder) is None:
                if clip.speaker.voice.name not in given_up:
                    waiting.append(clip)
                    continue
                journal.add(Made(clip.number, clip.identity, GIVEN_UP))
                done += 1
        for clip, result in run_limited(making, waiting, workers, limit_s):
            journal.add(Made(clip.number, clip.identity, result.reason) if isinstance(result, Lost) else result)
            done += 1
            progress("synthesise", done, len(clips))


def _attempts(clips: Sequence[Clip], first: bool) -> list[Clip]:
    """The first clips of each voice, or all others."""
    seen: Counter[str] = Counter()
    found = []
    for clip in clips:
        seen[clip.speaker.voice.name] += 1
        if (seen[clip.speaker.voice.name] <= ATTEMPTS) == first:
            found.append(clip)
    return found


def _given_up(clips: Sequence[Clip], journal: Journal, folder: Path) -> set[str]:
    """Voices all of whose first clips failed."""
    failed = Counter(
        clip.speaker.voice.name
        for clip in _attempts(clips, first=True)
        if (made := journal.made(clip, folder)) and made.failure
    )
    return {voice for voice, count in failed.items() if count == ATTEMPTS}


def _as_many(plan: Iterator[Clip], count: int) -> list[Clip]:
    """So many more clips, fewer where the voices' combinations are used up."""
    found: list[Clip] = []
    with contextlib.suppress(VoiceError, StopIteration):
        while len(found) < count:
            found.append(next(plan))
    return found


def _known(journal: Journal, clip: Clip, folder: Path) -> Made:
    made = journal.made(clip, folder)
    if made is None:
        raise VoiceError(f"{folder / clip.path}: was made and is gone; the same command makes it again")
    return made


def _row(order: Order, clip: Clip, made: Made) -> tuple[object, ...]:
    voice = clip.speaker.voice
    return (
        *(clip.path, clip.label, clip.speaker.id, f"{made.duration_s:.3f}", order.kind),
        *(voice.license, f"tts:{voice.engine}", clip.phrase.text, voice.language),
        *(f"{made.start_s:.3f}", f"{made.end_s:.3f}"),
    )
