"""A search: values of the recipe's searched fields, each trained and judged on the validation split alone.

A batch of values is chosen (`suggest`), what exceeds a limit is ruled out before it is trained (`footprint`), the rest
runs side by side (`many`), and what came out is kept (`trials`) before the next batch is chosen: the same call goes on
where it was interrupted, and whatever runs the trials changes none of them. No trial computes a figure of the test.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uyan import __version__
from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError, RunsFailedError, TrainingError
from uyan.pipeline.ablate import sharing_cache
from uyan.pipeline.footprint import Footprint, footprint
from uyan.pipeline.many import run_many
from uyan.pipeline.one_run import LEAVING_S
from uyan.pipeline.recipe_paths import moved, moved_search
from uyan.pipeline.run import run_until
from uyan.pipeline.run_task import RunTask, finished
from uyan.pipeline.suggest import Space, Tried, next_values, optuna_package
from uyan.pipeline.trials import RESULTS, Judged, Trial, load_trials, save_trials
from uyan.pipeline.tune_report import TuneReport, report_of, write_report
from uyan.pipeline.workspace import Tell, Workspace, say_nothing
from uyan.recipe import APART, Recipe, load_recipe
from uyan.search import EXAMPLE, SearchConfig

GO_ON = f"mend it, and the same command goes on with them; what always fails is left with state failed in {RESULTS}"
MOST_RULED_OUT = 10
"""The search ends when it has looked at so many times the trials asked for: the limits leave nearly nothing."""


def tune(
    path: Path,
    overrides: Sequence[str],
    out: Path,
    jobs: int | None = None,
    progress: Progress = silent,
    tell: Tell = say_nothing,
) -> TuneReport:
    """Search; write `tune.json`, `tune.csv`, `tune.png` and the best trial's recipe, `best.yaml`.

    The trials are kept below `out`; those that are over are not trained again, nor those that failed by their values.
    Raises ConfigError for a recipe that names nothing to search, or when `out` holds another search, TrainingError when
    no trial was judged, or when something else than its values stopped one: the same call goes on with that.
    """
    recipe = load_recipe(path, overrides)
    if recipe.search is None:
        raise ConfigError(f"{path}: names nothing to search; add a section such as\n  {EXAMPLE}")
    optuna_package()
    base, folder = path.resolve().parent, out.resolve()
    # As `best.yaml` in `out` will have it: its training can then go on as a run.
    own = moved(sharing_cache(recipe, path, out), base, folder)
    run = Workspace(own, folder, out, progress, tell)
    run.open()
    search = _Search(run, moved_search(recipe.search, base, folder), jobs)
    while batch := search.next_batch():
        search.judge(batch)
    report = report_of(own, recipe.search.limits, search.trials, search.space.own)
    save_trials(out, search.made_for, search.trials, report.as_json())
    write_report(report, out, path.name)
    return report


@dataclass
class _Search:
    run: Workspace
    """Of the recipe as it is, in the folder of the whole search."""
    config: SearchConfig
    jobs: int | None
    trials: list[Trial] = field(init=False)
    space: Space = field(init=False)
    made_for: dict[str, Any] = field(init=False)
    _windows: dict[str, int] = field(init=False, default_factory=dict)
    """What settles the window → its frames."""

    def __post_init__(self) -> None:
        self.space = Space(self.run.recipe, self.config)
        searched = json.loads(self.config.model_dump_json(exclude={"trials"}))  # a search may be made longer
        self.made_for = {
            "uyan": __version__,
            "config_hash": self.run.recipe.digest(),
            "manifests_sha256": self.run.manifests_digest(),
            "search": searched,
            "recipe": json.loads(self.run.recipe.model_dump_json(exclude=set(APART))),
        }
        self.trials = load_trials(self.run.out, self.made_for)

    def next_batch(self) -> list[Trial]:
        """Trials to judge side by side: those that an interruption left, filled up with new ones."""
        batch = [trial for trial in self.trials if trial.state == "running"]
        while len(batch) < self.config.batch and self._counted() < self.config.trials:
            if len(self.trials) >= MOST_RULED_OUT * self.config.trials:
                break
            tried = [Tried(trial.values, trial.state, trial.loss) for trial in self.trials]
            values = next_values(self.space, tried, self.config.trials, self.run.recipe.training.seed)
            if values is None:
                break
            trial = self._placed(len(self.trials), values)
            self._keep(trial)
            if trial.state == "running":
                batch.append(trial)
        return batch

    def judge(self, batch: Sequence[Trial]) -> None:
        """Train and judge these, and keep what came out.

        Raises TrainingError where something else than their values stopped one: it is still to be done.
        """
        tasks = [self._task(trial) for trial in batch]
        for task in tasks:  # a process that outlives whoever started it would make its trial fail: raises ConfigError
            Workspace(task.recipe, task.base, task.out).open(LEAVING_S)
        failed = RunsFailedError("none", {})
        try:
            run_many(tasks, self.jobs, self._progress([task.name for task in tasks]), self.run.tell)
        except RunsFailedError as some:
            failed = some
        stopped = ""
        for trial, task in zip(batch, tasks, strict=True):
            figures, reason = finished(task), failed.reasons.get(task.name, "ended without its figures")
            if figures is not None:
                self._keep(replace(trial, state="judged", judged=Judged.of(figures)))
            elif task.name in failed.lasting:
                self._keep(replace(trial, state="failed", reason=reason))
            else:
                stopped += f"\n  {task.name}: {reason}"
        if stopped:
            raise TrainingError(f"trials were stopped by something else than their values:{stopped}\n{GO_ON}")

    def _counted(self) -> int:
        return sum(trial.state != "infeasible" for trial in self.trials)

    def _keep(self, trial: Trial) -> None:
        """Put it in its place, on disk as well."""
        self.trials[trial.number :] = [trial, *self.trials[trial.number + 1 :]]
        save_trials(self.run.out, self.made_for, self.trials, {})
        if trial.state in ("failed", "infeasible"):
            self.run.tell(f"{trial.name}: {trial.state}: {trial.reason}")

    def _placed(self, number: int, values: dict[str, Any]) -> Trial:
        """The trial with what it costs: to be trained, or ruled out."""
        try:
            recipe = self.run.recipe.with_fields(values)
        except ConfigError as reason:
            return Trial(number, values, "failed", " ".join(str(reason).split()))
        cost = self._footprint(recipe)
        exceeded = cost.exceeds(self.config.limits)
        return Trial(number, values, "infeasible" if exceeded else "running", exceeded, cost)

    def _footprint(self, recipe: Recipe) -> Footprint:
        """Measured once a network, so that equal networks are equally fast."""
        frames = self._window_frames(recipe)
        known = [trial.footprint for trial in self.trials if trial.footprint and trial.footprint.of(recipe, frames)]
        return known[0] if known else footprint(recipe, frames)

    def _window_frames(self, recipe: Recipe) -> int:
        """Of the network that this recipe trains; where the words decide, their features are made for it."""
        settling = recipe.network.window_s, recipe.batches.tail_s, recipe.training.init, recipe.frontend.digest()
        key = repr(settling)
        if key not in self._windows:
            run = Workspace(recipe, self.run.base, self.run.out, self.run.progress)
            if recipe.network.window_s == "auto":
                run_until(run, "features")
            self._windows[key] = run.window_frames
        return self._windows[key]

    def _task(self, trial: Trial) -> RunTask:
        recipe = self.run.recipe.with_fields(trial.values)
        return RunTask(recipe, self.run.base, self.run.out / trial.name, trial.name, "validation")

    def _progress(self, names: Sequence[str]) -> Progress:
        """A bar for all trials, and one a place in the batch, whatever trial is in it."""
        before = sum(trial.state in ("judged", "failed") for trial in self.trials)

        def progress(stage: str, done: int, total: int) -> None:
            if stage == "runs":
                self.run.progress("trials", before + done, self.config.trials)
            else:
                shown = f"at work, {names.index(stage) + 1}" if stage in names else stage
                self.run.progress(shown, done, total)

        return progress
