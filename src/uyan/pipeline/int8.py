"""A finished run's bundle in eight bits, and what that costs: events on the test split, size and time (MISSION 6.4).

Ranges are seen on the training split alone. Threshold and temperature stay those of the bundle; both bundles hear the
same streams through the shipping detector. Outside of the budget nothing is written.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from uyan.bundle import Bundle
from uyan.data.member import Member
from uyan.engine.parallel import Progress
from uyan.errors import EvaluationError
from uyan.evaluation.intervals import Interval, change_bootstrap, poisson_rate
from uyan.evaluation.latency import onnx_times
from uyan.evaluation.pooling import misses_by_speaker
from uyan.evaluation.scores import ScoreTrack, false_alarm_hops, missed, score_streams
from uyan.evaluation.streams import negative_streams, positive_streams
from uyan.export.onnx import make_bundle, save_bundle
from uyan.export.quantize import quantized
from uyan.files import replacing
from uyan.frontend import Features
from uyan.pipeline.prepare import Material
from uyan.pipeline.prepared_again import prepared_again
from uyan.pipeline.run_folder import NotThere, RunFolder, Wrong
from uyan.pipeline.workspace import Workspace

BUNDLE, FIGURES = "bundle.int8.onnx", "int8.json"
EXAMPLES, EXAMPLE_WINDOWS = 240, 3
"""Recordings that ranges are seen on, half of them of the word, and how many windows of each at most."""
MORE_MISSES = 0.005
"""Budget: the miss rate may grow by half a point."""
MORE_FAH = 0.2
"""Budget: the false-alarm rate may grow by this share of the target; by one alarm in any case, as few hours tell no
less apart."""
DENSE_WINDOWS, DENSE_PASSES = 20, 100
SEED = 42


def export_int8(run: RunFolder, base: Path | None, progress: Progress) -> dict[str, Any]:
    """Write `bundle.int8.onnx` and `int8.json` beside the run's bundle. Returns what the latter holds.

    Raises EvaluationError where the recordings of the run are gone, or when the result is outside of the budget.
    """
    try:
        made, figures = _made(run, base, progress)
    except (NotThere, Wrong) as reason:
        raise EvaluationError(f"--int8: the recordings of {run.path} are needed for it: {reason}") from reason
    if beyond := _beyond_budget(figures):
        raise EvaluationError(f"--int8: outside of the budget, nothing was written: {'; '.join(beyond)}")
    save_bundle(made)
    with replacing(run.path / FIGURES) as partial:
        partial.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures


def _made(run: RunFolder, base: Path | None, progress: Progress) -> tuple[Bundle, dict[str, Any]]:
    """The bundle, not yet written, and its figures."""
    with prepared_again(run, base, progress) as (again, material):
        model = quantized(run.bundle.data, _examples(again, material))
        made = make_bundle(model, run.bundle.info, run.path / BUNDLE)
        return made, _compared(again, material, run.bundle, made)


def _examples(run: Workspace, material: Material) -> list[Features]:
    """Features of training recordings, a window at least each: of the word, and of everything else."""
    rng = np.random.default_rng(SEED)
    keyword, shortest = run.recipe.keyword, run.window_frames
    found: list[Features] = []
    for members in (material.positives("train", keyword), material.negatives("train", keyword)):
        for member in _drawn(members, EXAMPLES // 2, rng):
            features = material.cache.part(member.content_sha1, 0, EXAMPLE_WINDOWS * shortest).astype(np.float32)
            missing = shortest - features.shape[1]
            found.append(np.pad(features, ((0, 0), (0, max(0, missing))), mode="edge"))
    return found


def _drawn(members: Sequence[Member], most: int, rng: np.random.Generator) -> list[Member]:
    chosen = rng.permutation(len(members))[:most]
    return [members[number] for number in chosen.tolist()]


def _compared(run: Workspace, material: Material, before: Bundle, after: Bundle) -> dict[str, Any]:
    """Both bundles on the test split, and their sizes and times."""
    keyword, info = run.recipe.keyword, before.info
    positives, negatives = material.positives("test", keyword), material.negatives("test", keyword)

    def heard(bundle: Bundle, name: str) -> tuple[list[ScoreTrack], list[ScoreTrack]]:
        spoken, other = positive_streams(positives, lead_s=run.lead_s), negative_streams(negatives, lead_s=run.lead_s)
        return (
            score_streams(f"test positives, {name}", bundle, spoken, len(positives), run.progress),
            score_streams(f"test negatives, {name}", bundle, other, len(negatives), run.progress),
        )

    (plain_positives, plain_negatives), (small_positives, small_negatives) = heard(before, "fp32"), heard(after, "int8")
    misses, small_misses = (missed(p, info.threshold, info.detector) for p in (plain_positives, small_positives))
    alarms, small_alarms = (
        false_alarm_hops(n, info.threshold, info.detector) for n in (plain_negatives, small_negatives)
    )
    hours = sum(track.material_s for track in plain_negatives) / 3600
    return {
        "positives": len(misses),
        "misses": {"fp32": int(misses.sum()), "int8": int(small_misses.sum())},
        "miss_rate_change": float((small_misses.sum(dtype=int) - misses.sum(dtype=int)) / len(misses)),
        "miss_rate_change_interval": asdict(_miss_change(plain_positives, misses.tolist(), small_misses.tolist())),
        "hours": hours,
        "false_alarms": {"fp32": _count(alarms), "int8": _count(small_alarms)},
        "target_fah": run.recipe.calibration.target_fah,
        "fah_change": (_count(small_alarms) - _count(alarms)) / hours,
        "fah_change_interval": asdict(_fah_change(alarms, small_alarms, info.detector.lockout_hops, hours)),
        "bytes": {"fp32": len(before.data), "int8": len(after.data)},
        "size": len(after.data) / len(before.data),
        **_times(before, after),
    }


def _count(alarms: Sequence[Sequence[int]]) -> int:
    return sum(len(hops) for hops in alarms)


def _miss_change(positives: Sequence[ScoreTrack], before: Sequence[bool], after: Sequence[bool]) -> Interval:
    first, second = misses_by_speaker(positives, before), misses_by_speaker(positives, after)
    changes = {speaker: (second[speaker][0] - misses, count) for speaker, (misses, count) in first.items()}
    return change_bootstrap(changes, np.random.default_rng(SEED))


def _fah_change(
    before: Sequence[Sequence[int]], after: Sequence[Sequence[int]], lockout_hops: int, hours: float
) -> Interval:
    """From alarms that only one of the two has: the others say nothing of a change."""
    pairs = list(zip(before, after, strict=True))
    lost = sum(_without_partner(one, other, lockout_hops) for one, other in pairs)
    gained = sum(_without_partner(other, one, lockout_hops) for one, other in pairs)
    down, up = poisson_rate(lost, hours), poisson_rate(gained, hours)
    return Interval(up.low - down.high, up.high - down.low)


def _without_partner(hops: Sequence[int], others: Sequence[int], reach: int) -> int:
    return sum(all(abs(hop - other) >= reach for other in others) for hop in hops)


def _times(before: Bundle, after: Bundle) -> dict[str, Any]:
    """Milliseconds of one window and of a longer pass, and their ratios."""
    rng, info = np.random.default_rng(SEED), before.info
    found: dict[str, Any] = {}
    for name, windows, passes in (("window", 1, 1000), ("pass", DENSE_WINDOWS, DENSE_PASSES)):
        features = rng.normal(-5.0, 4.0, (1, info.frontend.mels, windows * info.window_frames)).astype(np.float32)
        times_ms = {kind: onnx_times(b, features, passes).median_ms for kind, b in (("fp32", before), ("int8", after))}
        found[f"{name}_ms"] = times_ms
        found[f"{name}_time"] = times_ms["int8"] / times_ms["fp32"]
    return found


def _beyond_budget(figures: Mapping[str, Any]) -> list[str]:
    """What is not within the budget, in words."""
    found = []
    if figures["miss_rate_change"] > MORE_MISSES:
        found.append(
            f"{figures['misses']['int8']} of {figures['positives']} missed instead of {figures['misses']['fp32']}"
        )
    alarms, more = figures["false_alarms"], max(1.0, MORE_FAH * figures["target_fah"] * figures["hours"])
    if alarms["int8"] > alarms["fp32"] + more:
        found.append(f"{alarms['int8']} false alarms instead of {alarms['fp32']}")
    return found
