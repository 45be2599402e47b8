"""Speakers of recordings that name none, guessed by their voices; a guess is marked as one, a given id stays.

It knows nothing of files of manifests; how voices are told apart is `speaker_encoder`'s and `speaker_clusters`'.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uyan import audio_file
from uyan.data.recording import ESTIMATED_SPEAKER, Recording
from uyan.data.speakers.speaker_clusters import cluster, mean_voice
from uyan.data.speakers.speaker_encoder import Embedding, SpeakerEncoder, embed, load_encoder
from uyan.engine.parallel import Progress, run_tasks, silent
from uyan.errors import AudioError
from uyan.storage.location import Location
from uyan.torch_threads import torch_threads

SPOKEN = ("keyword", "negative")
HEARD_OF_NAMED = 10
"""Recordings of each named speaker that are listened to, to say whom an estimated one sounds like."""
MOST_S = 20.0
"""Of a long recording its beginning is enough."""


@dataclass(frozen=True)
class Voice:
    """Recordings in which one person seems to speak."""

    speaker_id: str
    recordings: int
    like: str = ""
    """The named speaker whose voice is nearest, if it is as near as one speaker's recordings are to each other."""
    distance: float = 0.0
    """The cosine distance to that voice."""


@dataclass(frozen=True)
class Estimate:
    """What was guessed."""

    recordings: list[Recording]
    """All that were given, in their order."""
    voices: list[Voice]
    """The largest first."""
    named: int
    """Spoken recordings that had an id."""
    mute: list[tuple[Recording, str]] = field(default_factory=list)
    """Spoken recordings in which no voice was found, and why."""


class _Task(NamedTuple):
    file: Location
    weights: Path | None


class _Heard(NamedTuple):
    voice: Embedding | None
    reason: str = ""


def estimate_speakers(
    recordings: Sequence[Recording],
    distance: float,
    weights: Path | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Estimate:
    """The recordings, those of unknown speakers with an estimated id, one for each group of like voices.

    The ids depend on the recordings' paths, and the groups on the audio and `distance` alone. Raises ConfigError when
    the encoder's weights are not there.
    """
    load_encoder(weights)  # better refused here than in every process
    spoken = [number for number, r in enumerate(recordings) if r.kind in SPOKEN]
    unknown = [number for number in spoken if not recordings[number].speaker_known]
    compared = _some_of_each([n for n in spoken if recordings[n].speaker_known], recordings) if unknown else []
    tasks = [_Task(recordings[number].file, weights) for number in (*unknown, *compared)]
    heard = list(run_tasks("listen to voices", _listen, tasks, workers, progress))
    voices = {n: h.voice for n, h in zip((*unknown, *compared), heard, strict=True) if h.voice is not None}
    audible = [number for number in unknown if number in voices]
    groups = _groups(audible, voices, distance)
    named = _mean_voices([n for n in compared if n in voices], recordings, voices)
    found = list(recordings)
    shown = []
    for members in groups:
        speaker_id = _estimated_id(recordings[members[0]])
        for number in members:
            found[number] = replace(recordings[number], speaker_id=speaker_id, speaker_known=True)
        like, apart = _nearest(mean_voice(np.stack([voices[n] for n in members])), named)
        shown.append(Voice(speaker_id, len(members), *((like, apart) if apart <= distance else ())))
    mute = [(recordings[n], h.reason) for n, h in zip(unknown, heard, strict=False) if h.voice is None]
    return Estimate(found, sorted(shown, key=lambda v: -v.recordings), len(spoken) - len(unknown), mute)


def _listen(task: _Task) -> _Heard:
    try:
        samples = next(audio_file.stream(task.file, MOST_S), None)
    except AudioError as reason:
        return _Heard(None, str(reason))
    with torch_threads(1):  # more would wait for those of the other processes
        voice = None if samples is None else embed(_encoder(task.weights), samples)
    return _Heard(voice, "" if voice is not None else "nothing is heard")


@lru_cache(maxsize=1)
def _encoder(weights: Path | None) -> SpeakerEncoder:
    return load_encoder(weights)


def _some_of_each(numbers: Sequence[int], recordings: Sequence[Recording]) -> list[int]:
    by_speaker: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        if not recordings[number].synthetic:
            by_speaker[recordings[number].speaker_id].append(number)
    return [number for owned in by_speaker.values() for number in owned[:HEARD_OF_NAMED]]


def _groups(numbers: Sequence[int], voices: dict[int, Embedding], distance: float) -> list[list[int]]:
    if not numbers:
        return []
    labels = cluster(np.stack([voices[n] for n in numbers]), distance)
    groups: list[list[int]] = [[] for _ in range(labels.max() + 1)]
    for number, label in zip(numbers, labels.tolist(), strict=True):
        groups[label].append(number)
    return groups


def _mean_voices(
    numbers: Sequence[int], recordings: Sequence[Recording], voices: dict[int, Embedding]
) -> dict[str, NDArray[np.float32]]:
    by_speaker: dict[str, list[Embedding]] = defaultdict(list)
    for number in numbers:
        by_speaker[recordings[number].speaker_id].append(voices[number])
    return {speaker_id: mean_voice(np.stack(owned)) for speaker_id, owned in by_speaker.items()}


def _nearest(voice: NDArray[np.float32], named: dict[str, NDArray[np.float32]]) -> tuple[str, float]:
    distances = {speaker_id: 1.0 - float(voice @ other) for speaker_id, other in named.items()}
    nearest = min(distances, key=lambda speaker_id: distances[speaker_id], default="")
    return nearest, distances.get(nearest, np.inf)


def _estimated_id(first: Recording) -> str:
    """Made of where its first recording lies, the manifest's folder included: two manifests rarely share one."""
    return ESTIMATED_SPEAKER + hashlib.sha1(f"{first.root.name}/{first.path}".encode()).hexdigest()[:10]
