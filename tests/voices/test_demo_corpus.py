"""The demo corpus at a fraction of its size: a user's layout, sound audio, equal bytes, safe reruns."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.data.recording import voices_of
from uyan.errors import ConfigError
from uyan.voices import demo_corpus, demo_noise
from uyan.voices.demo_corpus import TAKES, DemoCorpus, demo_recordings, demo_stream, write_demo
from uyan.voices.demo_text import DEMO_KEYWORD, SENTENCES, STREAM_SENTENCES

SPEAKERS = 3


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_corpus, "SPEAKERS", SPEAKERS)
        patch.setattr(demo_corpus, "NEGATIVE_S", (4.0, 6.0))
        patch.setattr(demo_corpus, "NOISE_S", 2.0)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, small: None) -> DemoCorpus:
    return write_demo(tmp_path_factory.mktemp("corpus") / "demo", seed=7)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.wav")}


def test_the_folder_looks_like_a_users(corpus: DemoCorpus) -> None:
    paths = list(contents(corpus.folder))
    speakers = {part: {path.split("/")[1] for path in paths if path.startswith(part)} for part in demo_corpus.PARTS}
    assert len(speakers["positive"]) == SPEAKERS
    assert speakers["negative"] == speakers["positive"]
    assert not any(set(path) & set(':+\\*?"<>|') for path in paths)
    assert {path.split("/")[0] for path in paths} == {"positive", "negative", "noise"}


def test_speakers_are_called_as_those_of_a_corpus(corpus: DemoCorpus) -> None:
    listed = demo_recordings(corpus)
    spoken = [recording for recording in listed if recording.kind != "noise"]
    assert len(listed) - len(spoken) == corpus.noises
    made = {voice for recording in spoken for voice in voices_of(recording.speaker_id)}
    assert made == {f"tts:espeak:{voice.name}" for voice in demo_corpus._voices(7)[0]}
    assert all(recording.synthetic and recording.license for recording in spoken)
    assert {recording.source for recording in spoken} == {"tts:espeak"}


def test_the_counts_are_those_on_disk(corpus: DemoCorpus) -> None:
    parts = {part: [read(path) for path in (corpus.folder / part).rglob("*.wav")] for part in demo_corpus.PARTS}
    hours = {part: sum(map(len, found)) / SAMPLE_RATE / 3600 for part, found in parts.items()}
    assert (corpus.keyword, corpus.seed, corpus.speakers) == (DEMO_KEYWORD, 7, SPEAKERS)
    assert (corpus.positives, corpus.negatives) == (len(parts["positive"]), len(parts["negative"]))
    assert (corpus.positives, corpus.noises) == (TAKES * SPEAKERS, len(parts["noise"]))
    assert corpus.negative_hours == pytest.approx(hours["negative"])
    assert corpus.noise_hours == pytest.approx(hours["noise"])


def test_every_file_is_16_bit_16_khz_unclipped_and_has_a_noise_floor(corpus: DemoCorpus) -> None:
    for path in corpus.folder.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE, 1, "PCM_16")
        samples = read(path)
        assert 10 ** (-24 / 20) < np.abs(samples).max() < 10 ** (-2 / 20)
        assert samples.size >= SAMPLE_RATE
        assert np.abs(samples[: SAMPLE_RATE // 4]).max() > 0


def test_two_runs_are_equal_byte_for_byte_and_another_seed_is_not(corpus: DemoCorpus, tmp_path: Path) -> None:
    write_demo(tmp_path / "again", seed=7)
    assert contents(tmp_path / "again") == contents(corpus.folder)
    write_demo(tmp_path / "again", seed=8)
    other = contents(tmp_path / "again")
    assert len(other) == len(contents(corpus.folder))
    assert not set(other.values()) & set(contents(corpus.folder).values())


def test_tasks_reach_a_worker_process(corpus: DemoCorpus, tmp_path: Path) -> None:
    task, work = pickle.loads(
        pickle.dumps((demo_corpus._Task(tmp_path, 7, 1, demo_corpus._voices(7)[0][1]), demo_corpus._write_task))
    )
    work(task)
    alone = contents(tmp_path)
    assert len(alone) == TAKES + 1
    assert alone.items() <= contents(corpus.folder).items()


def test_a_finished_demo_is_reused(corpus: DemoCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_corpus, "_write_task", None)
    assert write_demo(corpus.folder, seed=7) == corpus


def test_a_half_written_demo_is_completed(corpus: DemoCorpus, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo(tmp_path, seed=7, progress=interrupt)
    assert 0 < len(contents(tmp_path)) < len(contents(corpus.folder))
    assert write_demo(tmp_path, seed=7).positives == corpus.positives
    assert contents(tmp_path) == contents(corpus.folder)
    next(tmp_path.rglob("take-0.wav")).unlink()
    write_demo(tmp_path, seed=7)
    assert contents(tmp_path) == contents(corpus.folder)


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "positive" / "me" / "take.wav"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    for folder in (tmp_path, mine):
        with pytest.raises(ConfigError, match="new or an empty folder"):
            write_demo(folder)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_bytes() == b"mine"


def test_the_stream_says_the_keyword_where_it_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_noise, "FLOOR_DB", (-90.0, -90.0))
    stream, ends_s = demo_stream(seed=7, occurrences=6)
    assert len(ends_s) == 6
    assert (np.diff([0, *ends_s]) > 3).all()
    assert np.abs(stream).max() < 1
    assert stream.dtype == np.float32
    for end_s in ends_s:
        end = round(end_s * SAMPLE_RATE)
        spoken, pause = stream[end - SAMPLE_RATE * 2 // 5 : end], stream[end : end + SAMPLE_RATE // 2]
        assert np.std(spoken) > 100 * np.std(pause)
        assert np.std(stream[end - 160 : end]) > 3 * np.std(pause)


def test_the_stream_is_a_function_of_the_seed() -> None:
    first, again, other = (demo_stream(seed, occurrences=1) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert first[1] != other[1]


def test_the_stream_has_neither_voices_nor_sentences_of_the_corpus() -> None:
    corpus_voices, stream_voices = demo_corpus._voices(42)
    assert len(corpus_voices) == SPEAKERS
    assert not {voice.name for voice in corpus_voices} & {voice.name for voice in stream_voices}
    for language in ("en", "tr"):
        assert not set(SENTENCES[language]) & set(STREAM_SENTENCES[language])


def test_a_stream_without_keywords_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        demo_stream(7, 0)
