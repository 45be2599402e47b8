"""A folder tree of recordings, without a manifest, as a list of recordings.

    positive/<speaker>/…   the wake word           noise/…   background without speech
    negative/<speaker>/…   any other speech        rir/…     room impulse responses

Durations come from the files' headers; nothing is decoded. Files that no manifest could list, or whose
header cannot be read, are named apart.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from uyan.data.recording import Kind, Recording, normal_word, unknown_speaker_id
from uyan.errors import AudioError, DataError

EXTENSIONS = (".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav")

_KINDS: dict[str, Kind] = {"positive": "keyword", "negative": "negative", "noise": "noise", "rir": "rir"}

_EXPECTED_TREE = """
    positive/<speaker>/*.wav   the wake word, one folder per person
    negative/<speaker>/*.wav   other speech, one folder per person
    noise/*.wav                background without speech (may have subfolders)
    rir/*.wav                  room impulse responses (may be absent)"""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What lies in a folder tree, in the order of the paths."""

    recordings: list[Recording]
    unreadable: list[tuple[str, str]]
    """Path relative to the folder, and the reason."""


def scan(folder: Path, keyword: str | None = None) -> ScanResult:
    """All audio files of the tree.

    `keyword` labels the positives; without it the folder's own name does. Audio directly in `positive` or
    `negative` has an unknown speaker. Raises DataError when the folder has none of the four subfolders, or
    they hold no audio.
    """
    root = folder.resolve()
    word = normal_word(keyword or root.name)
    if not root.is_dir():
        raise DataError(f"{folder}: no such folder")
    if not any((root / name).is_dir() for name in _KINDS):
        raise DataError(f"{folder}: has none of the folders of a data set; expected{_EXPECTED_TREE}")
    recordings: list[Recording] = []
    unreadable: list[tuple[str, str]] = []
    for path in sorted(_audio_paths(root)):
        try:
            recordings.append(_recording(root, path, word))
        except AudioError as reason:
            unreadable.append((_shown(path), str(reason)))
    if not recordings and not unreadable:
        raise DataError(f"{folder}: no audio files ({' '.join(EXTENSIONS)}); expected{_EXPECTED_TREE}")
    return ScanResult(recordings, unreadable)


def require_same_labels(found: Sequence[Recording], listed: Sequence[Recording], manifest: Path) -> None:
    """Refuse to write over a `manifest` whose `listed` recordings have other labels than those `found` now.

    Raises DataError with an example and what to do.
    """
    before = {recording.path: recording.label for recording in listed}
    changed = [r for r in found if before.get(r.path, r.label) != r.label]
    if changed:
        first = changed[0]
        raise DataError(
            f"{manifest}: {len(changed)} of its recordings would be labelled otherwise, {_shown(first.path)} "
            f"{first.label!r} in place of {before[first.path]!r}; name the word with --keyword, or another --out"
        )


def _audio_paths(root: Path) -> Iterator[str]:
    """POSIX paths relative to the root; hidden files (macOS leaves `._a.wav` beside `a.wav`) are left out."""
    for name in _KINDS:
        for parent, folders, files in os.walk(root / name):
            folders[:] = [folder for folder in folders if not folder.startswith(".")]
            above = Path(parent).relative_to(root)
            for file in files:
                if file.lower().endswith(EXTENSIONS) and not file.startswith("."):
                    yield (above / file).as_posix()


def _recording(root: Path, path: str, word: str) -> Recording:
    top, *between, _ = path.split("/")
    kind = _KINDS[top]
    spoken = kind in ("keyword", "negative")
    duration_s = _duration_s(root, path)
    subfolder = normal_word(between[0]) if between else ""
    return Recording(
        path=path,
        root=root,
        label={"keyword": word, "negative": "speech"}.get(kind, subfolder or kind),
        speaker_id=subfolder if spoken and subfolder else unknown_speaker_id(path),
        speaker_known=spoken and bool(subfolder),
        duration_s=duration_s,
        kind=kind,
        license="",
        source="",
    )


def _duration_s(root: Path, path: str) -> float:
    """From the header. Raises AudioError when it cannot be read, or no manifest could list the file."""
    if "\\" in path or _shown(path) != path:
        raise AudioError("the name has a backslash or is not UTF-8; rename the file")
    file = root / path
    linked = file.is_symlink() or (root / path.split("/")[0]).is_symlink()
    if linked and not file.resolve().is_relative_to(root):
        raise AudioError(f"is a link out of the folder, to {file.resolve()}; copy the audio here")
    try:
        info = soundfile.info(str(file))
    except (soundfile.SoundFileError, OSError) as reason:
        raise AudioError(f"cannot be read ({reason})") from reason
    if info.frames <= 0:
        raise AudioError("holds no audio")
    return float(info.frames / info.samplerate)


def _shown(path: str) -> str:
    """The path with bytes that are no UTF-8 written as escapes."""
    return path.encode(errors="backslashreplace").decode()
