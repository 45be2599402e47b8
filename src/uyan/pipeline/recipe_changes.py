"""In which fields two recipes would train otherwise, in words."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from uyan.recipe import APART, NO_EFFECT, Recipe

LONGEST_SHOWN = 60
"""Characters of a value."""


def training_changes(before: Recipe, now: Recipe) -> list[str]:
    """One line a field, such as `training.epochs: 20 there, 30 here`; none for what changes no weight."""
    there, here = (recipe.model_dump(mode="json", exclude={*APART, "evaluation"}) for recipe in (before, now))
    return list(changes(there, here))


def changes(there: Mapping[str, Any], here: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """The same of a recipe's sections as JSON has them; `section` stands before every field's name."""
    for name, value in here.items():
        field, other = f"{section}{name}", there.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            yield from changes(other, value, f"{field}.")
        elif value != other and tuple(field.split(".")) not in NO_EFFECT:
            yield f"{field}: {_shown(other)} there, {_shown(value)} here"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
