"""Which recordings go into the stream: keyword takes, speech and noise that no bundle in the comparison learnt from.

A bundle's `splits.csv`, beside it in its run's folder, says what it was trained, chosen and calibrated on. What the
other engines learnt from nobody can see here. It knows nothing of how the stream is put together.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uyan.data.manifest import load_manifests
from uyan.data.recording import Recording
from uyan.data.split import SPLITS_FILE
from uyan.errors import DataError


@dataclass(frozen=True)
class Material:
    """Recordings by their part in the stream."""

    keywords: dict[str, list[Recording]]
    """By word."""
    speech: list[Recording]
    noise: list[Recording]
    notes: tuple[str, ...]
    """What the reader of a comparison must know."""


@dataclass(frozen=True)
class _Use:
    """What one bundle's run did with the recordings."""

    judged: frozenset[tuple[str, str]]
    """Path and speaker of the takes that its test split counts."""
    listed: frozenset[tuple[str, str]]
    speakers_heard: frozenset[str]

    def holds_out(self, recording: Recording) -> bool:
        key = recording.path, recording.speaker_id
        if key in self.listed:
            return key in self.judged
        return recording.speaker_id not in self.speakers_heard


def gather(data: Path, words: Sequence[str], bundles: Sequence[Path]) -> Material:
    """Recordings of the manifests at `data/manifest.csv` and `data/*/manifest.csv`, held out by every bundle.

    Raises DataError when there is no manifest, no recording of a word, no speech or no noise.
    """
    manifests = sorted([*data.glob("manifest.csv"), *data.glob("*/manifest.csv")])
    if not manifests:
        raise DataError(f"{data}: no manifest.csv in it or in one of its folders; `uyan data scan` writes one")
    recordings = load_manifests(manifests)
    _check_words(recordings, words, data)
    uses = {bundle: _read_use(bundle.parent / SPLITS_FILE) for bundle in bundles}
    usable = [r for r in recordings if all(use is None or use.holds_out(r) for use in uses.values())]
    material = Material(
        {word: [r for r in usable if r.kind == "keyword" and r.label == word] for word in words},
        [r for r in usable if r.kind == "negative"],
        [r for r in usable if r.kind == "noise"],
        tuple(_notes(uses.items(), len(recordings) - len(usable))),
    )
    parts = {**{f'"{word}"': found for word, found in material.keywords.items()}}
    for name, found in {**parts, "speech": material.speech, "noise": material.noise}.items():
        if not found:
            raise DataError(
                f"{data}: no recording of {name} that is held out; {len(recordings)} recordings were looked at, "
                f"{len(recordings) - len(usable)} of them belong to the training of a bundle"
            )
    return material


def _check_words(recordings: Iterable[Recording], words: Sequence[str], data: Path) -> None:
    known = sorted({r.label for r in recordings if r.kind == "keyword"})
    for word in words:
        if word not in known:
            raise DataError(f'{data}: no recording of "{word}"; the manifests have {", ".join(known) or "no keyword"}')


def _notes(uses: Iterable[tuple[Path, _Use | None]], left_out: int) -> Iterable[str]:
    for bundle, use in uses:
        if use is None:
            yield (
                f"{bundle} has no {SPLITS_FILE} beside it: what it was trained on is not known, and the stream may "
                "hold some of it."
            )
    if left_out:
        yield f"{left_out} recordings belong to the training or validation of a bundle and were left out."


def _read_use(file: Path) -> _Use | None:
    if not file.is_file():
        return None
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        taken = [row for row in rows if row["counted"] == "1" and not row["excluded"]]
        return _Use(
            frozenset((row["path"], row["speaker_id"]) for row in taken if row["split"] == "test"),
            frozenset((row["path"], row["speaker_id"]) for row in rows),
            frozenset(row["speaker_id"] for row in taken if row["split"] != "test"),
        )
    except (KeyError, TypeError, ValueError, csv.Error) as reason:
        raise DataError(f"{file}: not a list of recordings as uyan writes it ({reason!r})") from reason
