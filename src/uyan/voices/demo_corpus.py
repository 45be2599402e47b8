"""The embedded demo: a folder of synthetic recordings laid out like a user's, made without data or network.

`write_demo` writes positive/<speaker>, negative/<speaker> and noise, `demo_recordings` lists them with who speaks;
`demo_stream` makes a stream of other voices and sentences in which the end of every spoken keyword is known. Every file
depends on the seed and its own number alone, so two runs are equal byte for byte. It knows nothing of features or
training. Figures measured on it say that the tool works, not how a detector does on people.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.audio_file import write
from uyan.data.recording import Recording
from uyan.data.scan import scan
from uyan.engine.parallel import Progress, run_tasks, silent
from uyan.errors import ConfigError
from uyan.voices.demo_noise import NOISES, noise_floor
from uyan.voices.demo_speech import LANGUAGES, at_peak, say_keyword, say_other
from uyan.voices.demo_text import DEMO_KEYWORD, SENTENCES, STREAM_SENTENCES
from uyan.voices.espeak import Voice, many_voices
from uyan.voices.espeak_engine import LICENSE

VERSION = 2
"""Raised whenever the same seed would give other files."""
MARKER = ".uyan-demo.json"
PARTS = ("positive", "negative", "noise")

SPEAKERS = 72
STREAM_VOICES = 12
TAKES = 3
"""Positive recordings of each speaker."""
NEGATIVE_S = (30.0, 60.0)
"""Length of each speaker's one negative recording."""
NOISE_S = 44.0
PAUSE_S = (0.6, 1.5)
"""Between utterances; over half a window, so that a lone "hey" and a lone "uyan" do not make the keyword."""
EDGE_S = (0.3, 0.8)
"""Before and after the keyword in a positive recording."""
PEAK_DB = (-23.0, -3.0)
"""Peak of the speech, or of the noise, against full scale."""


@dataclass(frozen=True)
class DemoCorpus:
    """A finished demo corpus and what is in it."""

    folder: Path
    keyword: str
    seed: int
    speakers: int
    positives: int
    negatives: int
    """Negative recordings, one for each speaker."""
    negative_hours: float
    noises: int
    noise_hours: float


@dataclass(frozen=True)
class _Task:
    """One speaker's recordings, or one noise file when there is no voice."""

    folder: Path
    seed: int
    index: int
    voice: Voice | None


def write_demo(folder: Path, seed: int = 42, progress: Progress = silent) -> DemoCorpus:
    """Write the demo corpus into `folder`, or reuse the finished one of the same seed that is there.

    A half-written demo, and one of another seed, is replaced. Raises ConfigError when the folder holds
    anything else.
    """
    finished = _finished(folder, seed)
    if finished is not None:
        return finished
    for part in PARTS:
        if (folder / part).is_dir():
            shutil.rmtree(folder / part)
    _mark(folder, {})
    speakers = [_Task(folder, seed, index, voice) for index, voice in enumerate(_voices(seed)[0])]
    noises = [_Task(folder, seed, index, None) for index in range(len(NOISES))]
    hours = list(run_tasks("synthesise", _write_task, [*speakers, *noises], progress=progress))
    corpus = DemoCorpus(
        folder=folder,
        keyword=DEMO_KEYWORD,
        seed=seed,
        speakers=len(speakers),
        positives=TAKES * len(speakers),
        negatives=len(speakers),
        negative_hours=sum(hours[: len(speakers)]),
        noises=len(noises),
        noise_hours=sum(hours[len(speakers) :]),
    )
    _mark(folder, {key: value for key, value in asdict(corpus).items() if key != "folder"})
    return corpus


def demo_recordings(corpus: DemoCorpus) -> list[Recording]:
    """What is in the folder, its speakers called as `uyan voices generate` calls them; noise has no speaker."""
    voices = {_folder_name(voice): voice for voice in _voices(corpus.seed)[0]}
    return [
        replace(recording, speaker_id=voices[recording.speaker_id].speaker_id, license=LICENSE, source="tts:espeak")
        if recording.kind in ("keyword", "negative")
        else recording
        for recording in scan(corpus.folder, corpus.keyword).recordings
    ]


def demo_stream(seed: int, occurrences: int) -> tuple[Samples, list[float]]:
    """A continuous stream, shape (samples,), and the time in seconds at which each spoken keyword ends.

    None of its voices and sentences is in the corpus of the same seed. Three to six other utterances, some
    of them confusable, stand before each keyword.
    """
    if occurrences < 1:
        raise ConfigError(f"occurrences must be at least 1, not {occurrences}")
    rng = np.random.default_rng((seed, 3))
    _, voices = _voices(seed)
    utterances: list[Samples] = []
    keywords: list[int] = []
    for _ in range(occurrences):
        speakers = [voices[rng.integers(len(voices))] for _ in range(rng.integers(4, 8))]
        utterances += [say_other(speaker, STREAM_SENTENCES, rng) for speaker in speakers[1:]]
        keywords.append(len(utterances))
        utterances.append(say_keyword(speakers[0], rng))
    levelled = [at_peak(utterance, rng.uniform(*PEAK_DB)) for utterance in utterances]
    stream, ends_s = _joined(levelled, rng)
    return stream + noise_floor(stream.size, rng), [ends_s[index] for index in keywords]


def _finished(folder: Path, seed: int) -> DemoCorpus | None:
    """The complete demo of this seed and version in the folder, if there is one."""
    marker = folder / MARKER
    if not marker.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder}: is not the demo's; name a new or an empty folder")
        return None
    record = json.loads(marker.read_text())
    if record.pop("version", None) != VERSION or record.get("seed") != seed:
        return None
    corpus = DemoCorpus(folder=folder, **record)
    present = sum(1 for part in PARTS for _ in (folder / part).rglob("*.wav"))
    return corpus if present == corpus.positives + corpus.negatives + corpus.noises else None


def _mark(folder: Path, record: dict[str, Any]) -> None:
    """Say in the folder that it is a demo, and what is in it once that is true; never seen half-written."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{MARKER}.part"
    draft.write_text(json.dumps({"version": VERSION, **record}, indent=1))
    draft.replace(folder / MARKER)


def _voices(seed: int) -> tuple[list[Voice], list[Voice]]:
    """The corpus's speakers and the stream's, with no accent and variant in common."""
    rng = np.random.default_rng((seed, 0))
    voices = many_voices(SPEAKERS + STREAM_VOICES, LANGUAGES, rng)
    return voices[:SPEAKERS], voices[SPEAKERS:]


def _folder_name(voice: Voice) -> str:
    """Of a speaker's recordings; no colon, which Windows does not allow."""
    return voice.name.replace("+", "-")


def _write_task(task: _Task) -> float:
    """Write a task's files; returns the hours of negative speech or of noise among them."""
    return _write_noise(task) if task.voice is None else _write_speaker(task, task.voice)


def _write_speaker(task: _Task, voice: Voice) -> float:
    rng = np.random.default_rng((task.seed, 1, task.index))
    name = _folder_name(voice)
    for take in range(TAKES):
        keyword = at_peak(say_keyword(voice, rng), rng.uniform(*PEAK_DB))
        positive = np.concatenate([_silence(EDGE_S, rng), keyword, _silence(EDGE_S, rng)])
        write(task.folder / "positive" / name / f"take-{take}.wav", positive + noise_floor(positive.size, rng))
    utterances: list[Samples] = []
    expected_s, wanted_s = 0.0, rng.uniform(*NEGATIVE_S)
    while expected_s < wanted_s:
        utterances.append(say_other(voice, SENTENCES, rng))
        expected_s += utterances[-1].size / SAMPLE_RATE + sum(PAUSE_S) / 2
    negative = at_peak(_joined(utterances, rng)[0], rng.uniform(*PEAK_DB))
    write(task.folder / "negative" / name / "sentences.wav", negative + noise_floor(negative.size, rng))
    return negative.size / SAMPLE_RATE / 3600


def _write_noise(task: _Task) -> float:
    rng = np.random.default_rng((task.seed, 2, task.index))
    name, noise = list(NOISES.items())[task.index]
    samples = at_peak(noise(int(NOISE_S * SAMPLE_RATE), rng), rng.uniform(*PEAK_DB))
    write(task.folder / "noise" / f"{task.index:02d}-{name}.wav", samples + noise_floor(samples.size, rng))
    return samples.size / SAMPLE_RATE / 3600


def _joined(utterances: Sequence[Samples], rng: np.random.Generator) -> tuple[Samples, list[float]]:
    """Utterances with pauses around them, shape (samples,), and the second at which each ends."""
    pieces = [_silence(PAUSE_S, rng)]
    ends_s: list[float] = []
    total = pieces[0].size
    for utterance in utterances:
        ends_s.append((total + utterance.size) / SAMPLE_RATE)
        pieces += [utterance, _silence(PAUSE_S, rng)]
        total += utterance.size + pieces[-1].size
    return np.concatenate(pieces), ends_s


def _silence(length_s: tuple[float, float], rng: np.random.Generator) -> Samples:
    return np.zeros(int(rng.uniform(*length_s) * SAMPLE_RATE), np.float32)
