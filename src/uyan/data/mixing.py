"""How often an item is drawn: synthetic and real ones in a chosen proportion, sources by their weights.

The share is the same among positives and among negatives, or else "sounds synthetic" would tell them apart (MISSION
1.4). It knows nothing of what an item is.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from uyan.data.recording import Recording

MOST_OFTEN = 20.0
"""An item of the kind that there is less of is drawn so many times as often as one of the other at most: of ten clips,
half of a batch would be learnt by heart."""


MANY_REAL = 10
"""From so many real voices on, synthetic ones at half of a batch brought nothing or harmed (LOG.md, 2026-12-01)."""


def share_advice(positives: Sequence[Recording], synthetic_share: float | None) -> str | None:
    """What to know of synthetic voices beside so many real ones of the keyword; None where they have been seen to help.

    >>> from pathlib import Path
    >>> said = lambda speaker: Recording("a.wav", Path("/"), "hey", speaker, True, 1.0, "keyword", "", "")
    >>> many = [said(f"voice{number}") for number in range(12)]
    >>> share_advice(many, 0.5) is share_advice([*many[:5], said("tts:x")], 0.5) is None
    True
    >>> print(share_advice([*many, said("tts:x")], 0.5))
    synthetic voices beside 12 real ones may harm: data.synthetic_share=0 leaves them out, ...
    """
    real = {recording.speaker_id for recording in positives if not recording.synthetic}
    if synthetic_share == 0 or len(real) < MANY_REAL or not any(recording.synthetic for recording in positives):
        return None
    return (
        f"synthetic voices beside {len(real)} real ones may harm: data.synthetic_share=0 leaves them out, "
        "`uyan voices compare` measures what they bring"
    )


def draw_weights(
    recordings: Sequence[Recording], synthetic_share: float | None, source_weights: Mapping[str, float]
) -> NDArray[np.float32]:
    """How often the item of each of these recordings is drawn relative to the others, shape (items,), mean 1.

    A recording stands here once for each of its items. `source_weights` are by the manifest's `source`, 1 where it has
    none. Real and synthetic items together are drawn 1 - share : share, where there are both and enough of either
    (`MOST_OFTEN`); None leaves them to their numbers.

    >>> from pathlib import Path
    >>> said = lambda speaker: Recording("a.wav", Path("/"), "hey", speaker, True, 1.0, "keyword", "", "")
    >>> real, made = said("ada"), said("tts:x")
    >>> (6 * draw_weights([real, made, made, made], 0.5, {})).tolist()
    [12.0, 4.0, 4.0, 4.0]
    """
    weights = np.array([source_weights.get(recording.source, 1.0) for recording in recordings])
    synthetic = np.array([recording.synthetic for recording in recordings], bool)
    totals = weights[~synthetic].sum(), weights[synthetic].sum()
    if synthetic_share is not None and min(totals) > 0:
        ratio = synthetic_share * totals[0] / ((1 - synthetic_share) * totals[1])
        weights[synthetic] *= np.clip(ratio, 1 / MOST_OFTEN, MOST_OFTEN)
    total = weights.sum()
    scaled: NDArray[np.float32] = (weights * (weights.size / total if total else 1.0)).astype(np.float32)
    return scaled
