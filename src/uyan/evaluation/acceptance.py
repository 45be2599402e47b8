"""How often what almost is the keyword fires: half of a phrase, a rhyme, the word inside a longer one, by category.

Such recordings are a test set of their own, each judged alone as a positive is; their hours are no part of the FAH,
for nobody's living room is full of them. It knows nothing of how they were made.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uyan.data.member import Member
from uyan.decision import DetectorConfig
from uyan.evaluation.intervals import Interval, clopper_pearson
from uyan.evaluation.scores import ScoreTrack, first_fire_hops

UNNAMED = "near words"
"""The category of recordings without a label."""


@dataclass(frozen=True)
class AcceptRate:
    """Recordings at which the detector fired, of those it must not fire at."""

    accepted: int
    recordings: int
    speakers: int
    interval: Interval
    """95 %, Clopper–Pearson."""


def accept_rates(
    tracks: Sequence[ScoreTrack], members: Sequence[Member], threshold: float, config: DetectorConfig
) -> dict[str, AcceptRate]:
    """Rates by category, the recordings' label; the highest first. One track a member, in order."""
    fired = [hop is not None for hop in first_fire_hops(tracks, threshold, config)]
    categories = [member.recording.label or UNNAMED for member in members]
    totals, accepted = Counter(categories), Counter(name for name, hit in zip(categories, fired, strict=True) if hit)
    rates = {
        name: AcceptRate(
            accepted[name],
            total,
            len({m.recording.speaker_id for m, its in zip(members, categories, strict=True) if its == name}),
            clopper_pearson(accepted[name], total),
        )
        for name, total in totals.items()
    }
    return dict(sorted(rates.items(), key=lambda row: (-row[1].accepted / row[1].recordings, row[0])))


@dataclass(frozen=True)
class PooledAcceptance:
    """Of several detectors that judged nearly the same recordings, those each has not heard: no interval, for they are
    not as many."""

    accepted: int
    judged: int
    """Recordings, once a detector."""
    by_category: Mapping[str, tuple[int, int]]
    """Accepted and judged, the highest share first."""
    by_fold: tuple[tuple[int, int], ...]
    """Accepted and judged of each detector."""


def pooled_acceptance(folds: Sequence[Mapping[str, Any]]) -> PooledAcceptance:
    """What `accept_rates` counted for each of them, as their metrics have it, in one.

    >>> fold = {"accepted": 1, "recordings": 4, "by_category": {"rhyme": {"accepted": 1, "recordings": 4}}}
    >>> pooled_acceptance([fold, fold])
    PooledAcceptance(accepted=2, judged=8, by_category={'rhyme': (2, 8)}, by_fold=((1, 4), (1, 4)))
    """
    accepted, judged = Counter[str](), Counter[str]()
    for fold in folds:
        for name, rate in fold["by_category"].items():
            accepted[name] += rate["accepted"]
            judged[name] += rate["recordings"]
    by_category = {name: (accepted[name], judged[name]) for name in judged}
    return PooledAcceptance(
        accepted.total(),
        judged.total(),
        dict(sorted(by_category.items(), key=lambda row: (-row[1][0] / row[1][1], row[0]))),
        tuple((fold["accepted"], fold["recordings"]) for fold in folds),
    )


def accept_text(accepted: int, recordings: int) -> str:
    """
    >>> accept_text(2, 180)
    '2 of 180 accepted: 1.1 % (95 % 0.1 – 4.0)'
    """
    bounds = clopper_pearson(accepted, recordings)
    return (
        f"{accepted} of {recordings} accepted: {100 * accepted / recordings:.1f} % "
        f"(95 % {100 * bounds.low:.1f} – {100 * bounds.high:.1f})"
    )
