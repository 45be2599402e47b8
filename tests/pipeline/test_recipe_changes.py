"""What differs between two recipes, field by field."""

from typing import Any

from uyan.pipeline.recipe_changes import training_changes
from uyan.recipe import Recipe, parse_recipe


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"keyword": "uyan", "data": {"manifests": ["m.csv"]}, **changes}, "test")


def test_fields_are_named_with_both_values() -> None:
    before = recipe(training={"epochs": 4})
    now = recipe(training={"epochs": 5}, keyword="merhaba", calibration={"target_fah": 0.1})
    assert training_changes(before, now) == [
        'keyword: "uyan" there, "merhaba" here',
        "training.epochs: 4 there, 5 here",
        "calibration.target_fah: 0.5 there, 0.1 here",
    ]


def test_what_changes_no_weight_is_not_named() -> None:
    now = recipe(batches={"workers": 1}, cache={"max_ram_gb": 1.0}, evaluation={"snr_db": []})
    assert training_changes(recipe(), now) == []


def test_long_values_are_cut() -> None:
    (line,) = training_changes(recipe(), recipe(data={"manifests": [f"{number}.csv" for number in range(50)]}))
    assert line.startswith('data.manifests: ["m.csv"] there, ["0.csv", "1.csv"')
    assert line.endswith("… here")
