"""The embedded demonstration: synthetic corpus → run → a fresh stream with the word at known times."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import write
from uyan.data.manifest import load_manifests, save_manifest
from uyan.engine.parallel import Progress, silent
from uyan.errors import EvaluationError
from uyan.pipeline.run import Outcome, run_until
from uyan.pipeline.workspace import CONFIG, Tell, Workspace, say_nothing
from uyan.recipe import load_recipe, parse_recipe
from uyan.runtime.files import listen_to_file
from uyan.voices.demo_corpus import DemoCorpus, demo_recordings, demo_stream, write_demo
from uyan.voices.demo_neural import neural_voices, voiceless, write_neural
from uyan.voices.demo_text import DEMO_KEYWORD
from uyan.voices.installed import default_folder

CORPUS_MANIFEST = "corpus/manifest.csv"
OCCURRENCES = 12
EARLY_S, LATE_S = 0.5, 1.0
"""A detection within this time of the word's end is a hit."""
TARGET_FAH = 2.0
"""The corpus has too few negatives to aim lower."""
TRAINING = {"epochs": 24, "learning_rate": 2e-3}
VARIANTS = {"positive": 2, "negative": 1}
"""A few, to be quick: the voices are synthetic and many."""


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration showed."""

    outcome: Outcome
    stream: Path
    minutes: float
    heard: list[tuple[float, float | None]]
    """For each spoken keyword: when it ended, and when the detector fired for it, in seconds; None if missed."""
    false_alarms_s: list[float]


def run_demo(out: Path, seed: int = 42, progress: Progress = silent, tell: Tell = say_nothing) -> DemoResult:
    """Make the corpus in `out/corpus`, run in `out`, and listen to a stream of other voices.

    Where a neural engine has an English voice, its clips in `out/neural` train and are judged on, too.
    """
    corpus = write_demo(out / "corpus", seed, progress)
    manifest = corpus.folder / "manifest.csv"
    save_manifest(demo_recordings(corpus), manifest)
    neural = write_neural(out / "neural", default_folder(), seed, progress)
    tell(_who_speaks(corpus, neural))
    raw = {
        "keyword": corpus.keyword,
        "data": {"manifests": [CORPUS_MANIFEST, *(path.relative_to(out).as_posix() for path in neural)]},
        "network": {"size": "small"},
        "variants": VARIANTS,
        "training": {**TRAINING, "seed": seed},
        "calibration": {"target_fah": TARGET_FAH},
        "cache": {"folder": "cache"},
    }
    run = Workspace(parse_recipe(raw, "demo"), out.resolve(), out, progress, tell)
    _forget_other_voices(run)
    outcome = run_until(run)
    if outcome is None:
        raise EvaluationError("the demo run stopped before its export")
    samples, ends_s = demo_stream(seed, OCCURRENCES)
    stream = out / "stream.wav"
    write(stream, samples)
    fired_s = [found.time_s for found in listen_to_file(outcome.bundle, stream)]
    heard = [(end_s, _first_near(fired_s, end_s)) for end_s in ends_s]
    claimed = {time_s for _, time_s in heard}
    alarms = [time_s for time_s in fired_s if time_s not in claimed]
    return DemoResult(outcome, stream, samples.size / SAMPLE_RATE / 60, heard, alarms)


def _forget_other_voices(run: Workspace) -> None:
    """A demo that was trained on other voices, before an engine was installed or with another seed, begins anew."""
    pinned = run.out / CONFIG
    if pinned.is_file():
        before = load_recipe(pinned)
        ours = before.keyword == DEMO_KEYWORD and before.data.manifests[:1] == (CORPUS_MANIFEST,)
        if ours and before.training_digest() != run.recipe.training_digest():
            shutil.rmtree(run.training, ignore_errors=True)


def _who_speaks(corpus: DemoCorpus, neural: Sequence[Path]) -> str:
    if neural:
        spoken = sum(len(load_manifests([manifest])) for manifest in neural)
        engine = neural_voices(default_folder())[0].engine
        return f"voices: {corpus.speakers} of espeak-ng, and {spoken} clips spoken by {engine}"
    if engine := voiceless(default_folder()):
        return f"voices: {corpus.speakers} of espeak-ng; {engine} is installed without a voice (`uyan voices fetch`)"
    return f"voices: {corpus.speakers} of espeak-ng; with `pip install 'uyan[voices]'` a neural voice speaks, too"


def _first_near(fired_s: list[float], end_s: float) -> float | None:
    return next((t for t in fired_s if end_s - EARLY_S <= t <= end_s + LATE_S), None)
