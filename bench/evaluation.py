"""How long a bundle's evaluation takes, report included, and an exact sweep of the threshold.

`evaluate_bundle` on made-up recordings in files, for the first time and again, when what was decoded for the checks is
remembered; the sweep on made-up scores, mostly low with a burst every few seconds, as detectors give them. The network
is the default one, untrained but for its last layer: that one learns the word, a rising tone, because a detector that
fires all the time costs more to count than any that somebody would judge.
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

from bench.dense_scoring import bundle_of
from bench.material import default_network
from bench.measure import ROOM_NOISE, Figure, seconds_of, voice_like
from uyan.audio import SAMPLE_RATE, Samples
from uyan.bundle import Bundle
from uyan.decision import DetectorConfig
from uyan.evaluation.scores import ScoreTrack, event_curves
from uyan.export.onnx import save_bundle
from uyan.frontend import Cmvn, FrontendConfig, log_mel
from uyan.pipeline.evaluate_bundle import evaluate_bundle

TARGET_EVALUATION_S, TARGET_SWEEP_S = 60.0, 5.0
HOURS, POSITIVES = 10.0, 200
LONG_S = 600.0
WORD_S = 1.1
FITTED_WORDS, FITTED_S, FIT_STEPS = 20, 3.0, 300
"""The last layer learns from so many words and as many pieces of speech of that length."""
SWEEP_HOP_S = 0.02
BURST_S, BURSTS_HZ = 0.3, 0.2
QUIET_LOGIT, BURST_LOGIT = -8.0, 4.0


def evaluation_speed(hours: float = HOURS, long_s: float = LONG_S) -> list[Figure]:
    """Seconds of an evaluation over `hours` of negatives with its report, and of the sweep."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as name:
        folder = Path(name)
        manifest = _corpus(folder, hours, long_s)
        made = _fitted_bundle(np.random.default_rng(42))
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
        speech = voice_like(long_s, np.random.default_rng(number))
        _write(folder, f"long-{number}.wav", speech, rows, "speech", "negative")
    for number in range(POSITIVES):
        word = _word(np.random.default_rng([number, 1]))
        _write(folder, f"word-{number}.wav", word, rows, "bench", "keyword")
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "speaker_id", "duration_s", "kind"), *rows])
    return manifest


def _word(rng: np.random.Generator) -> Samples:
    """A tone that rises within a window, from a pitch and at a loudness of its own, over faint noise."""
    times_s, low_hz = np.arange(round(WORD_S * SAMPLE_RATE)) / SAMPLE_RATE, rng.uniform(200.0, 400.0)
    tone = rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * low_hz * (times_s + 2 * times_s**2))
    return (tone + ROOM_NOISE * rng.standard_normal(times_s.size)).astype(np.float32)


def _fitted_bundle(rng: np.random.Generator) -> Bundle:
    """The default network with its last layer fitted (logistic regression) to words against made-up speech."""
    config = FrontendConfig()
    words = [log_mel(_word(rng), config) for _ in range(FITTED_WORDS)]
    speech = [log_mel(voice_like(FITTED_S, rng), config) for _ in range(FITTED_WORDS)]
    cmvn = Cmvn.of(np.concatenate([*words, *speech], axis=1), config)
    network = default_network()
    network.set_cmvn(torch.tensor(cmvn.mean), torch.tensor(cmvn.variance))
    network.eval()
    with torch.no_grad():
        heard = [
            network.blocks(network.stem_output(network.normalised(torch.tensor(features)[None])))
            for features in (*words, *speech)
        ]
    labels = torch.cat([torch.full((1, h.shape[3]), int(number < len(words))) for number, h in enumerate(heard)], 1)
    optimizer = torch.optim.Adam(network.head.parameters(), 0.05)
    for _ in range(FIT_STEPS):
        optimizer.zero_grad()
        logits = network.head(torch.cat(heard, dim=3)).squeeze(2)
        torch.nn.functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return bundle_of(network, cmvn)


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
