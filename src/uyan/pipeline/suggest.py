"""Which values a search tries next: a function of the trials before, the seed, and nothing else.

The same trials come out wherever they are trained, and whether the search was interrupted or not: no sampler lives
longer than one choice, and Optuna's study is made from the trials each time (tree-structured Parzen estimator, Bergstra
et al. 2011). Where all combinations are few enough to be tried, they are.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from uyan.errors import ConfigError
from uyan.recipe import Recipe
from uyan.search import Range, SearchConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FIRST_RANDOM = 10
"""Trials before the estimator has something to go by."""
ATTEMPTS = 40
"""At a combination that was not tried yet; the second half of them is drawn at random."""
DIGITS = 4
"""Of a number from a range: more tell nobody anything."""


State = Literal["running", "judged", "failed", "infeasible"]


class Tried(NamedTuple):
    """A trial as the choice of the next one sees it."""

    values: Mapping[str, Any]
    state: State
    loss: float | None = None
    """Of one that is judged; lower is better."""


class Space:
    """The values of each searched field."""

    def __init__(self, recipe: Recipe, search: SearchConfig) -> None:
        """`recipe` says which fields take whole numbers alone."""
        self._own = {name: recipe.field(name) for name in search.fields}
        self._lists: dict[str, list[Any]] = {}
        self._ranges: dict[str, tuple[Range, bool]] = {}
        for name, tried in search.fields.items():
            if isinstance(tried, Range):
                fitting = recipe.with_fields({name: tried.low}).field(name)
                self._ranges[name] = tried, isinstance(fitting, int)
            else:
                self._lists[name] = [recipe.with_fields({name: value}).field(name) for value in tried]

    @property
    def own(self) -> dict[str, Any] | None:
        """The recipe's own values; None where one of them is not among what is searched."""
        inside = [self._own[name] in values for name, values in self._lists.items()]
        inside += [_holds(tried, self._own[name]) for name, (tried, _) in self._ranges.items()]
        return self._own if all(inside) else None

    def combinations(self, most: int) -> list[dict[str, Any]] | None:
        """All of them, the recipe's own first; None where they are more than `most`, or without number."""
        listed = {name: self._lists.get(name) or _grid(*self._ranges[name], most) for name in self._own}
        if math.prod(len(values) if values else most + 1 for values in listed.values()) > most:
            return None
        found = [dict(zip(listed, row, strict=True)) for row in itertools.product(*(v or [] for v in listed.values()))]
        return sorted(found, key=lambda values: values != self._own)

    def suggested(self, tried: Sequence[Tried], seed: int) -> dict[str, Any] | None:
        """Values that no trial has yet; None where none were found."""
        for attempt in range(ATTEMPTS):
            state = np.random.SeedSequence((seed, len(tried), attempt)).generate_state(1)
            values = self._drawn(tried, int(state[0]), FIRST_RANDOM if attempt < ATTEMPTS // 2 else len(tried) + 1)
            if all(values != trial.values for trial in tried):
                return values
        return None

    def _drawn(self, tried: Sequence[Tried], seed: int, first_random: int) -> dict[str, Any]:
        optuna = optuna_package()
        states = {
            "running": optuna.trial.TrialState.RUNNING,
            "judged": optuna.trial.TrialState.COMPLETE,
            "failed": optuna.trial.TrialState.FAIL,
            "infeasible": optuna.trial.TrialState.PRUNED,
        }
        space = self._distributions(optuna)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=first_random)
        study = optuna.create_study(sampler=sampler)
        for trial in tried:
            params = {name: self._encoded(name, value) for name, value in trial.values.items()}
            made = optuna.trial.create_trial(
                state=states[trial.state], value=trial.loss, params=params, distributions=space
            )
            study.add_trial(made)
        return {name: self._decoded(name, value) for name, value in study.ask(space).params.items()}

    def _distributions(self, optuna: Any) -> "dict[str, BaseDistribution]":
        kinds = optuna.distributions
        space: dict[str, BaseDistribution] = {}
        for name in self._own:
            if name in self._lists:
                space[name] = kinds.CategoricalDistribution([json.dumps(value) for value in self._lists[name]])
                continue
            tried, whole = self._ranges[name]
            if whole:
                step = int(tried.step or 1)
                space[name] = kinds.IntDistribution(int(tried.low), int(tried.high), log=tried.log, step=step)
            elif tried.step:
                space[name] = kinds.IntDistribution(0, tried.steps)
            else:
                space[name] = kinds.FloatDistribution(tried.low, tried.high, log=tried.log)
        return space

    def _encoded(self, name: str, value: Any) -> Any:
        """What Optuna takes; of a number on steps, how many they are."""
        if name in self._lists:
            return json.dumps(value)
        tried, whole = self._ranges[name]
        return round((value - tried.low) / tried.step) if tried.step and not whole else value

    def _decoded(self, name: str, value: Any) -> Any:
        """What the recipe takes; a free number with few digits, which must not leave the range."""
        if name in self._lists:
            return json.loads(value)
        tried, whole = self._ranges[name]
        if whole:
            return value
        if tried.step:
            return tried.on_step(value)
        return min(max(float(f"{value:.{DIGITS}g}"), tried.low), tried.high)


def next_values(space: Space, tried: Sequence[Tried], trials: int, seed: int) -> dict[str, Any] | None:
    """What the next of so many `trials` tries; None where nothing is left that was not tried.

    Every combination where there are no more than `trials`; otherwise the recipe's own values first, then as Optuna
    suggests. Raises ConfigError where Optuna is not installed.
    """
    every = space.combinations(trials)
    if every is not None:
        return next((values for values in every if all(values != trial.values for trial in tried)), None)
    if not tried and space.own is not None:
        return space.own
    return space.suggested(tried, seed)


def optuna_package() -> Any:
    """Optuna, whose log is not the user's. Raises ConfigError where it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError as reason:
        raise ConfigError("a search needs Optuna; pip install 'uyan[tune]'") from reason
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _holds(tried: Range, value: Any) -> bool:
    """Whether a range has this value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not tried.low <= value <= tried.high:
        return False
    return not tried.step or tried.on_step(round((value - tried.low) / tried.step)) == value


def _grid(tried: Range, whole: bool, most: int) -> list[Any] | None:
    """Every value of a range with steps; None for one without, or with more than `most`."""
    step = tried.step or (1 if whole and not tried.log else None)
    if step is None or (tried.high - tried.low) / step >= most:
        return None
    if whole:
        return list(range(int(tried.low), int(tried.high) + 1, int(step)))
    return [tried.on_step(number) for number in range(tried.steps + 1)]
