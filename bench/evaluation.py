"""How long a bundle's evaluation takes, report included, and an exact sweep of the threshold.

`evaluate_bundle` on made-up recordings in files, for the first time and again, when what was decoded for the checks is
remembered; the sweep on made-up scores, mostly low with a burst every few seconds, as detectors give them. The network
is the default one, untrained.
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from bench.dense_scoring import default_bundle
from bench.measure import Figure, seconds_of, speech_like
from uyan.audio import SAMPLE_RATE
from uyan.decision import DetectorConfig
from uyan.evaluation.scores import ScoreTrack, event_curves
from uyan.export.onnx import save_bundle
from uyan.frontend import Cmvn, FrontendConfig, log_mel
from uyan.pipeline.evaluate_bundle import evaluate_bundle

TARGET_EVALUATION_S, TARGET_SWEEP_S = 60.0, 5.0
HOURS, POSITIVES = 10.0, 200
LONG_S, SPEECH_S = 600.0, 60.0
"""A negative is this much made-up speech, again and again, to that length."""
SWEEP_HOP_S = 0.02
BURST_S, BURSTS_HZ = 0.3, 0.2
QUIET_LOGIT, BURST_LOGIT = -8.0, 4.0


def evaluation_speed(hours: float = HOURS, long_s: float = LONG_S) -> list[Figure]:
    """Seconds of an evaluation over `hours` of negatives with its report, and of the sweep."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as name:
        folder = Path(name)
        manifest = _corpus(folder, hours, long_s)
        speech = log_mel(speech_like(SPEECH_S, np.random.default_rng(42)), FrontendConfig())
        made = default_bundle(Cmvn.of(speech, FrontendConfig()))
        made.path = folder / "bundle.onnx"
        save_bundle(made)
        first_s, again_s = (
            seconds_of(lambda: evaluate_bundle(made.path, [manifest], folder / "out")) for _ in range(2)
        )
    sweep_s = seconds_of(lambda: event_curves([_positives()], _negatives(hours), DetectorConfig(hop_s=SWEEP_HOP_S)))
    what = f"{hours:g} h"
    return [
        Figure(f"evaluation of {what}, first time", first_s, "s", note="WAV files, checks and report included"),
        Figure(
            f"evaluation of {what}, again", again_s, "s", TARGET_EVALUATION_S, at_most=True, note="checks remembered"
        ),
        Figure(
            f"threshold sweep over {what}", sweep_s, "s", TARGET_SWEEP_S, at_most=True, note="20 ms hop, all scores"
        ),
    ]


def _corpus(folder: Path, hours: float, long_s: float) -> Path:
    """Long negatives and clips of a keyword in WAV files; their manifest."""
    rows: list[tuple[str, str, str, float, str]] = []
    for number in range(max(1, round(hours * 3600 / long_s))):
        speech = speech_like(min(SPEECH_S, long_s), np.random.default_rng(number))
        speech = np.tile(speech, max(1, round(long_s / SPEECH_S)))
        _write(folder, f"long-{number}.wav", speech, rows, "speech", "negative")
    for number in range(POSITIVES):
        word = speech_like(1.0, np.random.default_rng([number, 1]))
        _write(folder, f"word-{number}.wav", word, rows, "bench", "keyword")
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "speaker_id", "duration_s", "kind"), *rows])
    return manifest


def _write(
    folder: Path,
    name: str,
    samples: np.ndarray[tuple[int], np.dtype[np.float32]],
    rows: list[tuple[str, str, str, float, str]],
    label: str,
    kind: str,
) -> None:
    soundfile.write(folder / name, samples, SAMPLE_RATE)
    rows.append((name, label, f"of {name}", samples.size / SAMPLE_RATE, kind))


def _negatives(hours: float) -> list[ScoreTrack]:
    rng = np.random.default_rng(42)
    hops = round(hours * 3600 / SWEEP_HOP_S)
    heights = np.where(rng.random(hops) < BURSTS_HZ * SWEEP_HOP_S, rng.exponential(BURST_LOGIT, hops), 0.0)
    burst = np.hanning(round(BURST_S / SWEEP_HOP_S) + 2)
    logits = QUIET_LOGIT + np.convolve(heights, burst, "same") + rng.normal(0.0, 0.5, hops)
    scores = 1 / (1 + np.exp(-logits))
    return [ScoreTrack("negatives", "", hours * 3600, slice(0, hops), scores)]


def _positives() -> list[ScoreTrack]:
    rng = np.random.default_rng(43)
    return [
        ScoreTrack(f"positive {number}", f"{number}", 1.0, slice(0, 100), rng.random(100) ** 0.2)
        for number in range(POSITIVES)
    ]
