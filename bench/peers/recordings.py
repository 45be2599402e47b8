"""Which recordings go into the stream: keyword takes, speech and noise that no bundle in the comparison learnt from.

A bundle's run folder says what it has heard, as for `uyan evaluate`. What the other engines learnt from nobody can see
here. It knows nothing of how the stream is put together.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

from uyan.bundle import load
from uyan.data.check import check
from uyan.data.manifest import load_manifests
from uyan.data.recording import Recording
from uyan.errors import DataError
from uyan.pipeline.heard import Heard, heard_in
from uyan.pipeline.held_out import LEARNT_FROM, unheard
from uyan.pipeline.run_folder import RunFolder
from uyan.training.trunk import Learnt


@dataclass(frozen=True)
class Material:
    """Recordings by their part in the stream."""

    keywords: dict[str, list[Recording]]
    """By word."""
    speech: list[Recording]
    noise: list[Recording]
    notes: tuple[str, ...]
    """What the reader of a comparison must know."""


def gather(
    data: Path, words: Sequence[str], bundles: Sequence[Path], probes: Path | None = None, workers: int | None = None
) -> Material:
    """Recordings of the manifests at `data/manifest.csv` and `data/*/manifest.csv`, held out by every bundle.

    `probes` remembers what was decoded. Raises DataError when there is no manifest, no recording of a word, no speech
    or no noise, BundleError for what is no bundle.
    """
    manifests = sorted([*data.glob("manifest.csv"), *data.glob("*/manifest.csv")])
    if not manifests:
        raise DataError(f"{data}: no manifest.csv in it or in one of its folders; `uyan data scan` writes one")
    recordings = load_manifests(manifests)
    _check_words(recordings, words, data)
    heard = {bundle: heard_in(RunFolder(load(bundle), bundle.parent), LEARNT_FROM) for bundle in bundles}
    report = check(recordings, workers=workers, cache_file=probes)
    members, reasons = unheard(report, reduce(or_, (each.learnt for each in heard.values()), Learnt()))
    left_out = Counter(reason for reason in reasons if reason)
    if report.quarantined:
        left_out["they cannot be used"] = len(report.quarantined)
    usable = [member.recording for member, reason in zip(members, reasons, strict=True) if not reason]
    material = Material(
        {word: [r for r in usable if r.kind == "keyword" and r.label == word] for word in words},
        [r for r in usable if r.kind == "negative"],
        [r for r in usable if r.kind == "noise"],
        tuple(_notes(heard, left_out)),
    )
    _require(material, data, len(recordings), left_out)
    return material


def _require(material: Material, data: Path, count: int, left_out: Mapping[str, int]) -> None:
    """Raise DataError for a part of the stream that nothing is left for."""
    words = {f'"{word}"': found for word, found in material.keywords.items()}
    for name, found in {**words, "speech": material.speech, "noise": material.noise}.items():
        if not found:
            why = "".join(f"; {number} were left out because {reason}" for reason, number in left_out.items())
            raise DataError(f"{data}: no recording of {name} that is held out; {count} were looked at{why}")


def _check_words(recordings: Iterable[Recording], words: Sequence[str], data: Path) -> None:
    known = sorted({r.label for r in recordings if r.kind == "keyword"})
    for word in words:
        if word not in known:
            raise DataError(f'{data}: no recording of "{word}"; the manifests have {", ".join(known) or "no keyword"}')


def _notes(heard: Mapping[Path, Heard], left_out: Mapping[str, int]) -> Iterable[str]:
    for bundle, each in heard.items():
        for gap in each.gaps:
            yield f"{bundle}: {gap}: what it was trained on is not all known, and the stream may hold some of it."
    for reason, count in left_out.items():
        yield f"{count} recordings were left out because {reason}."
