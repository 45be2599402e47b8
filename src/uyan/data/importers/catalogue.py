"""Which data sets can be imported, and the import itself: what is found, measured and put into a manifest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from uyan.data.importers import (
    common_voice,
    demand,
    esc50,
    librispeech,
    musan,
    rirs_noises,
    speech_commands,
    spoken_words,
)
from uyan.data.importers.found import Found, dots_apart, says
from uyan.data.importers.target import require_replaceable, require_writable
from uyan.data.manifest import save_manifest
from uyan.data.recording import Recording, normal_word, unknown_speaker_id
from uyan.engine.parallel import Progress, run_tasks, silent
from uyan.errors import DataError, ManifestError

Find = Callable[[Path], Iterator[Found]]

IMPORTERS: dict[str, Find] = {
    "speech-commands": speech_commands.find,
    "mswc": spoken_words.find,
    "common-voice": common_voice.find,
    "librispeech": librispeech.find,
    "musan": musan.find,
    "demand": demand.find,
    "esc-50": esc50.find,
    "slr28": rirs_noises.find,
}


@dataclass(frozen=True)
class Imported:
    """What a manifest was made of."""

    manifest: Path
    recordings: list[Recording]
    saying_the_keyword: int
    """Sentences left out since the keyword is somewhere in them, and words that may be the keyword spelt otherwise."""
    left_out: list[tuple[str, str]]
    """Path and reason: listed but not there, or not readable."""


def import_data_set(
    name: str,
    folder: Path,
    keyword: str | None = None,
    out: Path | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Imported:
    """Write the manifest of a data set that lies in the folder as its publisher packs it.

    Sentences that say the keyword are left out: they are no negatives, and where it is in them is not known; so are
    words that only dots over i tell from it. Raises DataError for a name nobody knows, a folder that is laid out
    otherwise, or one without a single readable recording, and for a manifest that cannot be written there, or that
    somebody else wrote or changed.
    """
    if name not in IMPORTERS:
        raise DataError(f"no data set {name!r} to import; there are {', '.join(IMPORTERS)}")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    root = folder.resolve()
    found = list(IMPORTERS[name](root))
    wanted = [f for f in found if not (keyword and _may_say(f, keyword))]
    manifest = out or folder / "manifest.csv"
    require_writable(manifest, root, wanted)
    require_replaceable(manifest, root, wanted, name)
    tasks = [(root, f.path) for f in wanted]
    measured = list(run_tasks("measure", _duration_s, tasks, workers, progress))
    recordings = [_recording(root, name, f, m) for f, m in zip(wanted, measured, strict=True) if isinstance(m, float)]
    left_out = [(f.path, m) for f, m in zip(wanted, measured, strict=True) if isinstance(m, str)]
    if not recordings:
        said = f"; all {len(found)} say {keyword!r}" if found else ""
        why = f"; {left_out[0][0]}: {left_out[0][1]}" if left_out else said
        raise DataError(f"{folder}: no recording of {name} that can be read{why}")
    save_manifest(recordings, manifest)
    return Imported(manifest, recordings, len(found) - len(wanted), left_out)


def _may_say(found: Found, keyword: str) -> bool:
    """Whether that would be a negative, and may be the keyword."""
    if found.kind == "keyword":
        return dots_apart(found.label, keyword)
    return found.kind == "negative" and says(found.text, keyword)


def _duration_s(task: tuple[Path, str]) -> float | str:
    """Seconds by the header, or why there are none; a path in a table may not lead out of the folder."""
    root, path = task
    file = root / path
    if "\\" in path or not file.resolve().is_relative_to(root):
        return "leads out of the folder"
    if not file.is_file():
        return "is not there"
    try:
        info = soundfile.info(str(file))
    except (soundfile.SoundFileError, OSError) as reason:
        return f"cannot be read ({reason})"
    return float(info.frames / info.samplerate) if info.frames > 0 else "holds no audio"


def _recording(root: Path, name: str, found: Found, duration_s: float) -> Recording:
    if found.kind == "keyword" and not found.label:
        raise ManifestError(f"{root / found.path}: {name} lists it without its word")
    return Recording(
        path=found.path,
        root=root,
        label=normal_word(found.label),
        speaker_id=found.speaker_id or unknown_speaker_id(found.path),
        speaker_known=bool(found.speaker_id),
        duration_s=duration_s,
        kind=found.kind,
        license=found.license,
        source=name,
        split=found.split,
    )
