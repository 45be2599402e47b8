"""The learning curve: the same recipe on fewer recordings of the keyword, and what more of them would buy.

Split, validation and test stay whole at every point (`data/limit.py` says which recordings are left out), so that only
what is learnt from differs. It trains nothing itself (`many` does) and measures nothing (`evaluate` did).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from uyan.data.limit import speakers_needed, training_positives
from uyan.data.member import Member
from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError
from uyan.evaluation.claims import voices_claim
from uyan.evaluation.comparison import PowerLaw, fit_power_law
from uyan.evaluation.comparison_figures import CurveLine, learning_curve_figure
from uyan.evaluation.intervals import Interval
from uyan.files import replacing
from uyan.pipeline.ablate import sharing_cache
from uyan.pipeline.ablation_table import AT_FAH
from uyan.pipeline.evaluate import CLEAN
from uyan.pipeline.many import run_many
from uyan.pipeline.prepare import check_recordings, split_recordings
from uyan.pipeline.run_task import RunTask
from uyan.pipeline.workspace import Tell, Workspace, say_nothing
from uyan.recipe import load_recipe

FIRST_POSITIVES = 30
"""Where the default points start, unless a quarter of what there is is less."""


class Size(NamedTuple):
    """What one point may train on at most."""

    positives: int
    speakers: int


@dataclass(frozen=True)
class Point:
    """One run of the curve."""

    positives: int
    """Trained on, as the run counted them."""
    speakers: int
    conditions: dict[str, dict[str, Any]]
    """Test condition → its figures, as `metrics.json` has them."""

    def at_fah(self, condition: str) -> dict[str, Any]:
        """Misses at `AT_FAH`."""
        found: dict[str, Any] = self.conditions[condition]["at_fah"][AT_FAH]
        return found


@dataclass(frozen=True)
class LearningCurve:
    """All points, the smallest first."""

    keyword: str
    points: tuple[Point, ...]
    axis: str
    """`positives`, or `speakers` where all points have as many positives."""
    law: PowerLaw | None
    """None where all points have one size."""
    forecast: str
    """What more data would buy."""

    @property
    def judged(self) -> dict[str, tuple[int, int]]:
        """Misses and recordings of each speaker who judges, at the largest point."""
        found: dict[str, tuple[int, int]] = self.points[-1].conditions[CLEAN]["per_speaker"]
        return found


def measure_curve(
    path: Path,
    overrides: Sequence[str],
    out: Path,
    positives: Sequence[int] = (),
    speakers: Sequence[int] = (),
    jobs: int | None = None,
    progress: Progress = silent,
    tell: Tell = say_nothing,
) -> LearningCurve:
    """Run the recipe at each size (see `choose_sizes`); write `curve.json` and `curve.png`.

    The runs are kept below `out`, and those that are finished are not run again.
    """
    recipe = sharing_cache(load_recipe(path, overrides), path, out)
    run = Workspace(recipe, path.resolve().parent, out, progress, tell)
    members = split_recordings(run, check_recordings(run))
    tasks: list[RunTask] = []
    # The largest first: what its features are made of holds those of all the others.
    for size in reversed(choose_sizes(members, recipe.keyword, positives, speakers, recipe.split.seed, tell)):
        limits = {"max_positives": size.positives, "max_positive_speakers": size.speakers}
        limited = recipe.model_copy(update={"data": recipe.data.model_copy(update=limits)})
        name = f"positives{size.positives}-speakers{size.speakers}"
        tasks.append(RunTask(limited, run.base, out / name, name))
    curve = curve_of(run_many(tasks, jobs, progress, tell))
    save(curve, out)
    return curve


def choose_sizes(
    members: Sequence[Member],
    keyword: str,
    positives: Sequence[int],
    speakers: Sequence[int],
    seed: int,
    tell: Tell = say_nothing,
) -> list[Size]:
    """The points, ascending: those asked for, by default doubling up to all that the training split has.

    Without `speakers` they are in proportion to the positives, and more where so few do not have as many recordings;
    with `speakers` alone each point has all of theirs; both together are taken in pairs.
    """
    if positives and speakers and len(positives) != len(speakers):
        raise ConfigError(f"--positives has {len(positives)} points, --speakers {len(speakers)}; give as many of each")
    if min([*positives, *speakers, 1]) < 1:
        raise ConfigError(f"--positives {list(positives)}, --speakers {list(speakers)}: at least 1 of each is needed")
    trained = [m for _, m in training_positives(members, keyword) if not m.recording.synthetic]
    if not trained:
        raise ConfigError(
            f"no real recording of {keyword!r} to train on: add some; their number is what the curve varies"
        )
    most, voices = len(trained), len({m.recording.speaker_id for m in trained})
    for what, points, there in (("positives", positives, most), ("speakers", speakers, voices)):
        if max(points, default=0) > there:
            tell(f"{max(points)} {what} were asked for, {there} are there to train on: a point of all of them instead")
    wanted = list(positives) or ([most] * len(speakers) if speakers else doubling(most))
    sizes = set()
    for number, asked in enumerate(wanted):
        count = min(asked, most)
        in_proportion = max(math.ceil(voices * count / most), speakers_needed(members, keyword, count, seed))
        sizes.add(Size(count, min(speakers[number], voices) if speakers else in_proportion))
    return sorted(sizes)


def doubling(most: int) -> list[int]:
    """From `FIRST_POSITIVES`, or a quarter of `most` if that is less, doubling to `most`; the last step is 1.4 to 2.8.

    >>> doubling(270), doubling(50)
    ([30, 60, 120, 270], [12, 24, 50])
    """
    count = min(FIRST_POSITIVES, max(1, most // 4))
    counts = []
    while count * math.sqrt(2) < most:
        counts.append(count)
        count *= 2
    return [*counts, most]


def curve_of(metrics: Sequence[dict[str, Any]]) -> LearningCurve:
    """The curve through the runs' metrics."""
    points = []
    for run in metrics:
        train = run["data"]["splits"]["train"]
        voices = train["positive_speakers"] - train["synthetic_speakers"]
        points.append(Point(train["positives"] - train["synthetic_positives"], voices, run["conditions"]))
    points.sort(key=lambda point: (point.positives, point.speakers))
    axis = "positives" if len({point.positives for point in points}) > 1 else "speakers"
    sizes = [getattr(point, axis) for point in points]
    law = fit_power_law(sizes, [_above_zero(point.at_fah(CLEAN)) for point in points]) if len(set(sizes)) > 1 else None
    voices = len({point.speakers for point in points})
    return LearningCurve(metrics[0]["keyword"], tuple(points), axis, law, forecast(sizes, law, axis, voices > 1))


def _above_zero(at_fah: dict[str, Any]) -> float:
    """A logarithm has no zero: half a miss stands for none."""
    return max(float(at_fah["misses"]), 0.5) / float(at_fah["positives"])


def forecast(sizes: Sequence[int], law: PowerLaw | None, axis: str, new_voices: bool) -> str:
    """A sentence of what twice the largest size would buy, with its doubts."""
    if law is None:
        return "one point makes no curve, and says nothing of what more would buy; add smaller ones, with --positives"
    if law.slope >= 0:
        return (
            f"the miss rate does not fall with more {axis} here, so that these points do not say what more would buy; "
            "the run-to-run spread hides it, or something else than data is short"
        )
    most, new = max(sizes), "of new speakers in proportion" if new_voices else "of the same speakers"
    what = f"the recordings, {new}" if axis == "positives" else "the speakers, with as many recordings in all"
    now = law.at(most)
    text = f"twice {what} ({most:,} → {2 * most:,}): about {now:.1%} → {now * 2**law.slope:.1%} missed"
    text += f" ({CLEAN}, at {AT_FAH} FAH, by a power law through {law.points} points)"
    if law.slope_interval is None:
        return text + "; a line through two points always fits, so take it for a guess and add a third"
    best, worst = (min(1.0, now * 2**slope) for slope in (law.slope_interval.low, law.slope_interval.high))
    text += f"; between {best:.1%} and {worst:.1%} by the 95 % interval of the slope"
    return text + (", so that it may buy nothing" if law.slope_interval.high >= 0 else "")


def save(curve: LearningCurve, out: Path) -> None:
    """Write `curve.json` and `curve.png`."""
    as_json = {
        "keyword": curve.keyword,
        "at_fah": float(AT_FAH),
        "axis": curve.axis,
        "voices": voices_claim(curve.judged),
        "points": [
            {"positives": p.positives, "speakers": p.speakers, "conditions": {c: _figures(p, c) for c in p.conditions}}
            for p in curve.points
        ],
        "law": asdict(curve.law) if curve.law else None,
        "forecast": curve.forecast,
    }
    with replacing(out / "curve.json") as partial:
        partial.write_text(json.dumps(as_json, indent=1, ensure_ascii=False), encoding="utf-8")
    lines = {}
    for name in curve.points[0].conditions:
        found = [point.at_fah(name) for point in curve.points]
        intervals = [Interval(**at["miss_interval"]) for at in found] if name == CLEAN else ()
        lines[name] = CurveLine([float(at["miss_rate"]) for at in found], intervals)
    judged = curve.points[-1].at_fah(CLEAN)["positives"]
    title = f"“{curve.keyword}”: misses at {AT_FAH} FAH of {judged} positives, 95 % intervals"
    sizes = [getattr(point, curve.axis) for point in curve.points]
    learning_curve_figure(sizes, lines, curve.law, f"{curve.axis} of the keyword", title, out / "curve.png")


def _figures(point: Point, condition: str) -> dict[str, Any]:
    """What `curve.json` says of a point in a condition."""
    judged, at_fah = point.conditions[condition], point.at_fah(condition)
    return {
        **{key: at_fah[key] for key in ("misses", "positives", "miss_rate", "miss_interval", "met")},
        "speakers": judged["speakers"],
        "as_shipped": {key: judged[key] for key in ("misses", "miss_rate", "speaker_interval")},
    }
