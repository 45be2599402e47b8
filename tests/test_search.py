"""The recipe's section `search`: what may be searched, how it is written, and that it changes no digest."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from uyan.errors import ConfigError
from uyan.recipe import Recipe, load_recipe, parse_recipe
from uyan.search import REFUSED, Range

MINIMAL: dict[str, Any] = {"keyword": "jarvis", "data": {"manifests": ["a.csv"]}}


def searching(fields: Any, **others: Any) -> Recipe:
    return parse_recipe({**MINIMAL, "search": {"fields": fields, **others}}, "test")


def test_ranges_and_lists_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "keyword: jarvis\ndata: {manifests: [a.csv]}\nsearch:\n  trials: 12\n  fields:\n"
        "    training.learning_rate: {low: 1e-4, high: 3e-3, log: true}\n    network.size: [small, medium]\n"
        "    augment.tempo_percent: {low: 0, high: 40, step: 10}\n"
        "  limits: {max_parameters: 80000, max_window_us: 60}\n",
        encoding="utf-8",
    )
    search = load_recipe(file).search
    assert search and (search.trials, search.batch) == (12, 4)
    assert search.fields == {
        "training.learning_rate": Range(1e-4, 3e-3, log=True),  # YAML reads 1e-4 as text
        "network.size": ("small", "medium"),
        "augment.tempo_percent": Range(0, 40, step=10),
    }
    assert (search.limits.max_parameters, search.limits.max_model_kb, search.limits.max_window_us) == (80000, None, 60)
    again = tmp_path / "again.yaml"
    again.write_text(load_recipe(file).to_yaml(), encoding="utf-8")
    assert load_recipe(again) == load_recipe(file)


def test_it_changes_no_figure_of_a_run() -> None:
    plain, searched = parse_recipe(MINIMAL, "test"), searching({"training.epochs": [3, 4]})
    assert searched.digest() == plain.digest() and searched.training_digest() == plain.training_digest()
    assert plain.search is None and "search" not in yaml.safe_load(plain.to_yaml())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"training.learning_rat": [1e-3]}, r"search\.fields\.training\.learning_rat, value 0\.001.*\n.*did you mean"),
        ({"trainign.epochs": [3]}, r"(?s)search\.fields\.trainign\.epochs.*trainign: no such setting"),
        ({"network": ["small"]}, r"search\.fields\.network: name one field of a section, network\.size for example"),
        ({"network.size": ["small", "tiny"]}, r"search\.fields\.network\.size, value 'tiny'"),
        ({"network.size": {"low": 1, "high": 2}}, r"search\.fields\.network\.size, value 1"),
        ({"network.size": []}, r"search\.fields\.network\.size: \[\] must hold at least one value"),
        ({"network.size": ["small", "small"]}, r"search\.fields\.network\.size: .* each once"),
        ({"network.size": "small"}, r"search\.fields\.network\.size: a list of values or \{low"),
        ({"training.epochs": {"low": 9, "high": 3}}, r"search\.fields\.training\.epochs: low 9 must be below high 3"),
        ({"training.epochs": {"low": 3}}, r"search\.fields\.training\.epochs: a range needs low and high"),
        ({"training.epochs": {"low": 3, "hihg": 4}}, r"search\.fields\.training\.epochs\.hihg: no such setting"),
        ({"training.epochs": {"low": "few", "high": 4}}, r"search\.fields\.training\.epochs\.low: a number, not 'few'"),
        ({"training.epochs": {"low": True, "high": 4}}, r"search\.fields\.training\.epochs\.low: a number, not True"),
        ({"training.epochs": {"low": 1.0, "high": 4.0, "step": 0.5}}, r"search\.fields\.training\.epochs, value 1\.5"),
        ({"training.epochs": {"low": 1.5, "high": 4}}, r"search\.fields\.training\.epochs, value 1\.5"),
        ({"augment.gain_db": {"low": 0, "high": 9, "step": 2}}, r"augment\.gain_db: high 9 .* steps of 2"),
        ({"augment.gain_db": {"low": 0, "high": 9, "step": 0}}, r"augment\.gain_db: high 9 .* whole number of steps"),
        ({"augment.gain_db": {"low": 0, "high": 9, "log": True}}, r"augment\.gain_db: log needs a low above 0"),
        ({"augment.gain_db": {"low": 0, "high": 9, "log": "yes"}}, r"gain_db\.log: true or false, not 'yes'"),
        ({"augment.tempo_percent": {"low": 0, "high": 60}}, r"search\.fields\.augment\.tempo_percent, value 60"),
        ({"batches.workers": [1, 2]}, r"fields\.batches\.workers: cannot be searched, for it changes no figure"),
        ({}, r"search\.fields: names no field"),
        ([], r"search\.fields: names fields and what to try"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_names_the_field(fields: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        searching(fields)


@pytest.mark.parametrize("refused", sorted(REFUSED))
def test_what_changes_the_judgement_or_nothing_is_refused_with_its_reason(refused: str) -> None:
    name = refused if "." in refused or refused == "keyword" else f"{refused}.anything"
    with pytest.raises(ConfigError, match=rf"search\.fields\.{name}: cannot be searched, for it {REFUSED[refused]}"):
        searching({name: [1, 2]})


def test_settings_of_the_search_itself() -> None:
    fields = {"training.epochs": [3, 4]}
    for wrong in ({"trials": 0}, {"batch": 0}, {"limits": {"max_parameters": 0}}, {"limits": {"max_kb": 3}}):
        with pytest.raises(ConfigError, match=r"not a valid recipe\n  search\."):
            searching(fields, **wrong)


@given(low=st.integers(-999, 999), steps=st.integers(1, 40), step=st.integers(1, 999), places=st.integers(0, 4))
def test_values_on_steps_are_those_that_a_recipe_holds(low: int, steps: int, step: int, places: int) -> None:
    """Written in decimals: 0.1 and three steps of 0.2 are 0.7, as YAML reads it."""
    written = [float(f"{low + number * step}e-{places}") for number in range(steps + 1)]
    made = Range(written[0], written[-1], float(f"{step}e-{places}"))
    assert [made.on_step(number) for number in range(made.steps + 1)] == written
    assert all(made.low <= made.on_step(number) <= made.high for number in range(made.steps + 1))


def test_the_last_step_is_the_end_however_its_steps_were_rounded() -> None:
    made = Range(0, 1, 0.3333333)
    assert [made.on_step(number) for number in range(4)] == [0.0, 0.3333333, 0.6666666, 1.0]


@given(low=st.integers(-50, 50), steps=st.integers(1, 40), step=st.sampled_from([0.1, 0.25, 1.0, 3.0]))
def test_a_whole_number_of_steps_is_one_however_it_rounds(low: int, steps: int, step: float) -> None:
    made = Range(low, low + steps * step, step)
    assert made.examples() == [low, low + step, made.high]
    assert made.steps == steps
    with pytest.raises(ConfigError, match="whole number of steps"):
        Range(low, low + (steps + 0.5) * step, step)
