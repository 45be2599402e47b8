"""A folder of synthetic recordings of a word: planned, made in processes, judged, listed in a manifest.

The same order gives the same files, in whatever number of processes and however often interrupted. It knows no engine.
"""

import csv
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from uyan.data.parallel import Progress, silent
from uyan.data.recording import normal_word
from uyan.data.task_map import Lost
from uyan.errors import ConfigError, VoiceError
from uyan.files import replacing
from uyan.voices.clip import Clip, Made, Making, disk_error
from uyan.voices.journal import Journal
from uyan.voices.judging import judge
from uyan.voices.limited_pool import run_limited
from uyan.voices.near_text import NearText
from uyan.voices.phrase import Phrase, make_phrase
from uyan.voices.speech import Engine, EngineVoice, checked_text
from uyan.voices.variation import speakers

Kind = Literal["keyword", "negative"]
Format = Literal["wav", "flac"]

VERSION = 1
"""Raised whenever the same order would give other files."""
ORDER_FILE, JOURNAL_FILE, MANIFEST_FILE, DROPPED_FILE = ".order.json", ".clips.jsonl", "manifest.csv", "dropped.csv"
COLUMNS = (
    *("path", "label", "speaker_id", "duration_s", "kind", "license", "source"),
    *("text", "language", "start_s", "end_s"),
)
"""Those of every manifest, and what is known beside: the place of the word makes it a table of annotations too."""
MAX_TEXTS_BYTES = 10_000_000
ROUNDS = 10
"""How often dropped clips are replaced by others."""
NEAR_TEXTS = 150
"""So many of what is near a word, the nearest of each category in turn: more would nearly all be of one."""
ATTEMPTS = 4
"""A voice whose first clips all fail is given up."""


@dataclass(frozen=True)
class Order:
    """What is wanted."""

    label: str
    """The word; empty for negatives, each of which is labelled with its own text."""
    texts: tuple[str, ...]
    """The word's spellings, or what negatives say."""
    carriers: tuple[str, ...] = ("{}",)
    """Sentences with {} for the word."""
    kind: Kind = "keyword"
    seed: int = 42
    takes: int = 4
    """Clips of each speaker."""
    format: Format = "wav"
    categories: tuple[str, ...] = ()
    """What each of the texts is labelled with, where neither the word nor the text is the label."""

    def phrases(self) -> list[Phrase]:
        """Every text in every carrier. Raises ConfigError for one that cannot be said."""
        if not self.texts or not self.carriers or self.takes < 1:
            raise ConfigError("nothing to say: give at least one text, one carrier and one take")
        return [make_phrase(text, carrier) for text in self.texts for carrier in self.carriers]

    def labels(self) -> list[str]:
        """The label of each of the phrases."""
        own = self.categories or tuple(self.label or text for text in self.texts)
        return [normal_word(label) for label in own for _ in self.carriers]


@dataclass(frozen=True)
class Corpus:
    """What was made."""

    manifest: Path
    clips: int
    speakers: int
    hours: float
    dropped: dict[str, int]
    """Reason, in short, and how many."""


def make_order(
    word: str,
    texts: Path | None = None,
    carriers: Sequence[str] = (),
    kind: str = "keyword",
    seed: int = 42,
    takes: int = 4,
    audio_format: str = "wav",
) -> Order:
    """An order from what a user gives; `texts` is a file with one text a line. Raises ConfigError where it is wrong."""
    if kind not in get_args(Kind):
        raise ConfigError(f"kind {kind!r}: is none of {', '.join(get_args(Kind))}")
    if audio_format not in get_args(Format):
        raise ConfigError(f"format {audio_format!r}: is none of {', '.join(get_args(Format))}")
    label = checked_text(word) if kind == "keyword" else ""
    said = (word,) if texts is None else _lines(texts)
    return Order(label, said, tuple(carriers) or ("{}",), cast(Kind, kind), seed, takes, cast(Format, audio_format))


def near_order(
    near: Sequence[NearText], seed: int = 42, takes: int = 4, carriers: Sequence[str] = (), audio_format: str = "wav"
) -> Order:
    """An order of what is near a word, labelled by category; ConfigError where there is nothing near it."""
    if not near:
        raise ConfigError("nothing is near that word; it is too short, or --language is not its own")
    said = near[:NEAR_TEXTS]
    order = make_order("", None, carriers, "negative", seed, takes, audio_format)
    return replace(order, texts=tuple(n.text for n in said), categories=tuple(n.category for n in said))


def word_list(path: Path | None) -> tuple[str, ...]:
    """One word or text a line; none without a file. Raises ConfigError for one that cannot be read."""
    return _lines(path) if path else ()


def _lines(path: Path) -> tuple[str, ...]:
    """The lines that are not empty, each once; # begins a comment."""
    try:
        if path.stat().st_size > MAX_TEXTS_BYTES:
            raise ConfigError(f"{path}: too large for a list of texts, one a line")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as reason:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({reason})") from reason
    texts = tuple(dict.fromkeys(line.strip() for line in lines if line.strip() and not line.startswith("#")))
    if not texts:
        raise ConfigError(f"{path}: no text in it; write one a line")
    return texts


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

    Raises ConfigError for an order that makes no sense or is another than the folder's, VoiceError when the voices
    cannot make so many, or the disk is full.
    """
    if count < 1:
        raise ConfigError(f"{count} clips; ask for at least one")
    if not voices:
        raise VoiceError("no voice to speak with; `uyan voices list` shows what is there")
    plan = planned(order, voices)
    _claim(folder, order, voices)
    making = Making(tuple(engines), folder, order.seed)
    clips: list[Clip] = []
    with Journal(folder / JOURNAL_FILE) as journal:
        for _ in range(ROUNDS):
            missing = count - sum(not journal.dropped(clip) for clip in clips)
            if not missing:
                break
            clips += itertools.islice(plan, missing)
            _make(clips, making, journal, workers, limit_s, progress)
            made = [(clip, _known(journal, clip, folder)) for clip in clips]
            for number, reason in judge(made).items():
                if not journal.dropped(clips[number]):
                    journal.drop(clips[number], reason)
                (folder / clips[number].path).unlink(missing_ok=True)
        kept = [pair for pair in made if not journal.dropped(pair[0])]
        dropped = [(clip, journal.dropped(clip)) for clip in clips if journal.dropped(clip)]
    for stray in folder.rglob(".*.tmp"):  # of processes that were killed while they wrote
        stray.unlink(missing_ok=True)
    _write(folder / DROPPED_FILE, ("speaker_id", "take", "text", "reason"), _dropped_rows(dropped))
    if not kept:
        raise VoiceError(f"no clip could be made: {dropped[0][1]} ({folder / DROPPED_FILE} lists all)")
    _write(folder / MANIFEST_FILE, COLUMNS, [_row(order, clip, known) for clip, known in kept])
    return Corpus(
        folder / MANIFEST_FILE,
        len(kept),
        len({clip.speaker.id for clip, _ in kept}),
        sum(known.duration_s for _, known in kept) / 3600,
        dict(Counter(reason.partition(":")[0].partition(" at the voice")[0][:60] for _, reason in dropped)),
    )


def planned(order: Order, voices: Sequence[EngineVoice]) -> Iterator[Clip]:
    """The clips in order, as many as are asked for: the first are the same however many follow."""
    phrases, labels = order.phrases(), order.labels()
    rng = np.random.default_rng((order.seed, 1))
    numbers = itertools.count()
    for speaker in speakers(voices, rng):
        folder = speaker.id.replace(":", "_").replace("/", "_")
        for take, at in enumerate(rng.integers(len(phrases), size=order.takes)):
            number, phrase = next(numbers), phrases[at]
            path = f"{order.kind}/{folder}/{number:06d}.{order.format}"
            yield Clip(number, speaker, take, phrase, labels[at], path)


def _make(
    clips: Sequence[Clip], making: Making, journal: Journal, workers: int, limit_s: float, progress: Progress
) -> None:
    """Make those that are not there yet."""
    known = {clip.number: made for clip in clips if (made := journal.made(clip, making.folder))}
    waiting = [clip for clip in clips if clip.number not in known]
    done, total = len(known), len(clips)
    progress("synthesise", done, total)
    spoke: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for clip in clips:
        if clip.number in known:
            (failed if known[clip.number].failure else spoke)[clip.speaker.voice.name] += 1

    def not_given_up() -> Iterator[Clip]:
        for clip in waiting:
            voice = clip.speaker.voice.name
            if failed[voice] >= ATTEMPTS and not spoke[voice]:
                journal.add(Made(clip.number, clip.identity, f"voice given up: its first {ATTEMPTS} clips failed"))
            else:
                yield clip

    for clip, result in run_limited(making, not_given_up(), workers, limit_s):
        made = Made(clip.number, clip.identity, result.reason) if isinstance(result, Lost) else result
        journal.add(made)
        (failed if made.failure else spoke)[clip.speaker.voice.name] += 1
        done += 1
        progress("synthesise", done, total)


def _known(journal: Journal, clip: Clip, folder: Path) -> Made:
    made = journal.made(clip, folder)
    if made is None:
        raise VoiceError(f"{folder / clip.path}: was made and is gone; the same command makes it again")
    return made


def _claim(folder: Path, order: Order, voices: Sequence[EngineVoice]) -> None:
    """The folder belongs to one order and one choice of voices; ConfigError for another."""
    names = [f"{voice.engine}:{voice.name}:{voice.language}" for voice in voices]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    wanted: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **asdict(order), "voices": digest}))
    file = folder / ORDER_FILE
    if file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            found = {}
        others = [name for name in wanted if not isinstance(found, dict) or found.get(name) != wanted[name]]
        if others:
            raise ConfigError(
                f"{folder}: holds clips of another order ({', '.join(others)} differ); name another --out"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: holds something else; name a new or an empty folder")
    try:
        with replacing(file) as partial:
            partial.write_text(json.dumps(wanted, ensure_ascii=False, indent=1), encoding="utf-8")
    except OSError as reason:
        raise disk_error(reason, file) from reason


def _row(order: Order, clip: Clip, made: Made) -> tuple[object, ...]:
    voice = clip.speaker.voice
    return (
        *(clip.path, clip.label, clip.speaker.id, f"{made.duration_s:.3f}", order.kind),
        *(voice.license, f"tts:{voice.engine}", clip.phrase.text, voice.language),
        *(f"{made.start_s:.3f}", f"{made.end_s:.3f}"),
    )


def _dropped_rows(dropped: Sequence[tuple[Clip, str]]) -> list[tuple[object, ...]]:
    return [(clip.speaker.id, clip.take, clip.phrase.text, reason) for clip, reason in dropped]


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    try:
        with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as reason:
        raise disk_error(reason, path) from reason
