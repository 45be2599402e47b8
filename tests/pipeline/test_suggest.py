"""Which values are tried: the same for the same trials, within their ranges, each once; where they are few, all."""

import builtins
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.errors import ConfigError
from uyan.pipeline.suggest import Space, Tried, next_values
from uyan.recipe import parse_recipe

FIELDS: dict[str, Any] = {
    "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "network.size": ["small", "medium", "large"],
    "training.epochs": {"low": 2, "high": 9},
    "augment.tempo_percent": {"low": 0, "high": 40, "step": 10},
    "augment.gain_db": {"low": 0, "high": 12},
    "batches.ratio": [[1, 1, 1], [1, 2, 1]],
}


def space(fields: dict[str, Any], **changes: Any) -> Space:
    raw = {"keyword": "uyan", "data": {"manifests": ["a.csv"]}, "search": {"fields": fields}, **changes}
    recipe = parse_recipe(raw, "test")
    assert recipe.search
    return Space(recipe, recipe.search)


def searched(made: Space, trials: int, loss: Callable[[dict[str, Any]], float], seed: int = 42) -> list[Tried]:
    """Trials one after another; every fifth fails, every seventh is ruled out."""
    tried: list[Tried] = []
    while len(tried) < trials:
        values = next_values(made, tried, trials, seed)
        if values is None:
            break
        if len(tried) % 5 == 4 or len(tried) % 7 == 6:
            tried.append(Tried(values, "failed" if len(tried) % 5 == 4 else "infeasible"))
        else:
            tried.append(Tried(values, "judged", loss(values)))
    return tried


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_values_fit_the_recipe_and_none_is_tried_twice(seed: int) -> None:
    made = space(FIELDS)
    tried = searched(made, 25, lambda values: abs(values["training.learning_rate"] - 1e-3), seed)
    assert len(tried) == 25
    for trial in tried:
        values = trial.values
        assert 1e-4 <= values["training.learning_rate"] <= 1e-2
        assert isinstance(values["training.epochs"], int) and 2 <= values["training.epochs"] <= 9
        assert values["augment.tempo_percent"] in (0.0, 10.0, 20.0, 30.0, 40.0)
        assert 0 <= values["augment.gain_db"] <= 12 and isinstance(values["augment.gain_db"], float)
        assert values["batches.ratio"] in ([1, 1, 1], [1, 2, 1])
    assert all(one.values != other.values for place, one in enumerate(tried) for other in tried[:place])


def test_a_search_that_was_interrupted_goes_on_with_the_same_values() -> None:
    made = space(FIELDS)
    whole = searched(made, 16, lambda values: values["augment.gain_db"])
    for done in range(16):
        assert next_values(made, whole[:done], 16, 42) == whole[done].values
    assert searched(made, 16, lambda values: values["augment.gain_db"], seed=43)[1].values != whole[1].values


def test_what_missed_less_is_tried_more_often() -> None:
    made = space({"augment.gain_db": {"low": 0, "high": 12}, "training.epochs": {"low": 1, "high": 9}})
    tried = searched(made, 60, lambda values: abs(values["augment.gain_db"] - 9))
    distances = [abs(trial.values["augment.gain_db"] - 9) for trial in tried[15:]]
    assert sum(distances) / len(distances) < 2.5  # by chance alone 3.75: a quarter of 0…3 and three of 0…9


def test_the_recipe_s_own_values_are_the_first_where_they_are_searched() -> None:
    assert (
        next_values(space(FIELDS), [], 20, 42)
        == {
            "training.learning_rate": 1e-3,
            "network.size": "medium",
            "training.epochs": "auto",
            "augment.tempo_percent": 25.0,
            "augment.gain_db": 12.0,
            "batches.ratio": [1, 1, 1],
        }
        or space(FIELDS).own is None
    )  # epochs are auto and the tempo lies between two steps
    inside = space({"augment.gain_db": {"low": 0, "high": 12}, "network.size": ["small", "medium"]})
    assert next_values(inside, [], 20, 42) == {"augment.gain_db": 12.0, "network.size": "medium"}
    assert space({"augment.gain_db": {"low": 0, "high": 9}}).own is None
    assert space({"augment.tempo_percent": {"low": 5, "high": 45, "step": 10}}).own == {"augment.tempo_percent": 25.0}


def test_few_combinations_are_all_tried() -> None:
    made = space(
        {"network.size": ["small", "medium"], "training.epochs": {"low": 2, "high": 4}}, training={"epochs": 3}
    )
    tried = searched(made, 6, lambda values: 0.5)
    assert tried[0].values == {"network.size": "medium", "training.epochs": 3}
    assert {(t.values["network.size"], t.values["training.epochs"]) for t in tried} == {
        (size, epochs) for size in ("small", "medium") for epochs in (2, 3, 4)
    }
    assert next_values(made, tried, 6, 42) is None
    assert made.combinations(5) is None and len(made.combinations(6) or []) == 6


def test_values_of_a_grid_are_those_the_recipe_holds() -> None:
    """And so the recipe as it is is one of them, whether all are tried or Optuna draws."""
    grid = {"augment.background_share": {"low": 0.1, "high": 0.7, "step": 0.2}}
    for fields in (grid, {**grid, "network.size": ["small", "medium", "large"]}):
        made = space(fields, augment={"background_share": 0.7})
        for trials in (12, 3):
            tried = searched(made, trials, lambda values: 0.5)
            assert tried[0].values == made.own and made.own is not None
            assert {trial.values["augment.background_share"] for trial in tried} <= {0.1, 0.3, 0.5, 0.7}
            assert len({str(trial.values) for trial in tried}) == len(tried) == min(trials, 4 * 3 ** (len(fields) - 1))


def test_more_trials_than_values_end_the_search() -> None:
    made = space({"training.epochs": {"low": 2, "high": 4, "log": True}})  # in no grid, and yet only three
    assert made.combinations(100) is None
    assert len(searched(made, 20, lambda values: 0.5)) == 3


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    before = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'", name="optuna")
        return before(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"a search needs Optuna; pip install 'uyan\[tune\]'"):
        next_values(space({"augment.gain_db": {"low": 0, "high": 9}}), [], 20, 42)
