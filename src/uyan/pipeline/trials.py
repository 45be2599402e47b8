"""The trials of a search, as they are kept: `tune.json`, written anew whenever one of them begins or ends.

It is all that a search needs to go on, plain JSON. It knows nothing of how values are chosen or networks trained.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uyan.errors import ConfigError
from uyan.evaluation.intervals import Interval, clopper_pearson, speaker_bootstrap, wider
from uyan.files import replacing
from uyan.pipeline.footprint import Footprint
from uyan.pipeline.recipe_changes import changes
from uyan.pipeline.suggest import State
from uyan.pipeline.workspace import SHOWN_CHANGES

RESULTS = "tune.json"
BOOTSTRAP_SEED = 42
MADE_FOR = {
    "uyan": "version of uyan",
    "config_hash": "configuration",
    "manifests_sha256": "set of recordings",
    "search": "search section",
}
"""What must be as it was for a search to go on; beside it the recipe itself, to say in which fields it is not."""


@dataclass(frozen=True)
class Judged:
    """What a trial's network misses on the validation split."""

    miss_rate: float
    """At the target FAH, mean of the conditions; what is searched for the least of."""
    area: float
    """Mean miss rate over 0–2 FAH: it tells trials apart that miss as many."""
    hours: float
    """Of negatives."""
    supported: bool
    """Whether so many hours can show the target FAH at all."""
    conditions: Mapping[str, Mapping[str, Any]]
    """Condition → misses, positives, false_alarms, met, per_speaker."""

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> "Judged":
        """Of what `validation.json` holds."""
        return cls(**{name: figures[name] for name in ("miss_rate", "area", "hours", "supported", "conditions")})

    @property
    def positives(self) -> int:
        """Of one condition: the same recordings are in each."""
        return max(int(found["positives"]) for found in self.conditions.values())

    @property
    def misses(self) -> float:
        """Among them, mean of the conditions."""
        return float(np.mean([found["misses"] for found in self.conditions.values()]))

    @property
    def counts(self) -> str:
        """For people, with the denominator."""
        several = f", mean of {len(self.conditions)} conditions" if len(self.conditions) > 1 else ""
        return f"{self.misses:g}/{self.positives}{several}"

    @property
    def by_speaker(self) -> dict[str, tuple[int, int]]:
        """Misses and positives of each speaker, all conditions together."""
        counts: dict[str, tuple[int, int]] = {}
        for found in self.conditions.values():
            for speaker, (misses, positives) in found["per_speaker"].items():
                before = counts.get(speaker, (0, 0))
                counts[speaker] = before[0] + misses, before[1] + positives
        return counts

    @property
    def interval(self) -> Interval:
        """95 %, over speakers, or over recordings where that says less; half a miss is as doubtful as none and one."""
        speakers = speaker_bootstrap(self.by_speaker, np.random.default_rng(BOOTSTRAP_SEED))
        fewer, more = (clopper_pearson(round_to(self.misses), self.positives) for round_to in (math.floor, math.ceil))
        return wider(wider(fewer, more), speakers)

    @property
    def met(self) -> bool:
        """Whether a threshold keeps to the target FAH."""
        return all(found["met"] for found in self.conditions.values())

    @property
    def loss(self) -> float:
        """Orders trials as epochs are: by miss rate, then by area, which adds at most half a miss in one condition."""
        return self.miss_rate + self.area / (2 * self.positives * len(self.conditions))


@dataclass(frozen=True)
class Trial:
    """One choice of values and what became of it."""

    number: int
    values: Mapping[str, Any]
    """Searched field → value."""
    state: State
    reason: str = ""
    """Why it failed, or which limit it exceeds."""
    footprint: Footprint | None = None
    """None where the values do not even make a recipe."""
    judged: Judged | None = None

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"trial-{self.number:03d}"

    @property
    def loss(self) -> float | None:
        """Lower is better; None where it was not judged."""
        return self.judged.loss if self.judged else None


def save_trials(out: Path, made_for: Mapping[str, Any], trials: Sequence[Trial], report: Mapping[str, Any]) -> None:
    """Write `tune.json`: what the search is of, what came out, and every trial."""
    contents = {"made_for": made_for, "report": report, "trials": [asdict(trial) for trial in trials]}
    with replacing(out / RESULTS) as partial:
        partial.write_text(json.dumps(contents, indent=1, ensure_ascii=False), encoding="utf-8")


def load_trials(out: Path, made_for: Mapping[str, Any]) -> list[Trial]:
    """The trials of a search that was begun there; none where none was.

    Raises ConfigError where the file is damaged or that search was of something else, and says of what.
    """
    file = out / RESULTS
    if not file.is_file():
        return []
    try:
        contents = json.loads(file.read_text(encoding="utf-8"))
        before, trials = dict(contents["made_for"]), [_trial(raw) for raw in contents["trials"]]
    except (OSError, ValueError, KeyError, TypeError) as reason:
        raise ConfigError(f"{file}: not a readable search ({reason!r}); choose another --out or delete it") from reason
    if other := [what for key, what in MADE_FOR.items() if before.get(key) != made_for[key]]:
        detail = [line for key in ("recipe", "search") for line in changes(before.get(key, {}), made_for[key])]
        listed = f" ({'; '.join(detail[:SHOWN_CHANGES])})" if detail else ""
        differs = f"{' and another '.join(other)}{listed}"
        raise ConfigError(f"{out} holds a search with another {differs}; choose another --out or delete it")
    return trials


def _trial(raw: Mapping[str, Any]) -> Trial:
    judged, cost = raw["judged"], raw["footprint"]
    found = {"judged": Judged(**judged) if judged else None, "footprint": Footprint(**cost) if cost else None}
    return Trial(**{**raw, **found})
