"""How long the sliding window must be for this keyword.

A detection takes several votes in a row, a hop apart, and each vote is a window with the whole word in it. A word of
0.85 s leaves a window of 1.0 s room for one or two of them: people who say it slowly are missed (LOG.md).
"""

import math
from collections.abc import Sequence

import numpy as np

from uyan.data.locate import Span
from uyan.frontend import HOP_S
from uyan.model.network import LONGEST_WINDOW_S, USUAL_WINDOW_S
from uyan.pipeline.trunk_file import start_window_s
from uyan.pipeline.workspace import Workspace

LONG_WORD_PERCENTILE = 95


def settle_window(run: Workspace, words: Sequence[Span]) -> None:
    """Set `run.window_s` by the spoken keyword where the recipe leaves it open; warn where the recipe's is too short.

    A trunk or bundle to start from has a window already, which then is this run's too.
    """
    lengths_s = np.array([span.frames for span in words]) * HOP_S
    longest_s = float(np.percentile(lengths_s, LONG_WORD_PERCENTILE))
    fitting_s = fitting_window_s(longest_s, run.recipe.batches.tail_s)
    if run.recipe.network.window_s == "auto":
        run.window_s = start_window_s(run) or fitting_s
        if run.window_s != USUAL_WINDOW_S:
            run.tell(
                f"window: {run.window_s:g} s, as {LONG_WORD_PERCENTILE} % of the recordings say the keyword within "
                f"{longest_s:.2f} s"
            )
    longer = int((lengths_s > run.window_s).sum())
    if longest_s > run.window_s:
        run.warn(
            f"the spoken keyword is longer than the window of {run.window_s:.2f} s in {longer} of {len(words)} "
            f"recordings ({LONG_WORD_PERCENTILE} % are within {longest_s:.2f} s); set network.window_s to "
            f"{fitting_s:g} or more, or to auto"
        )


def fitting_window_s(word_s: float, tail_s: float) -> float:
    """The shortest window, in tenths of a second, that holds a word of `word_s` for `tail_s` after its end.

    Never less than the usual 1.0 s (MISSION 6.1).

    >>> fitting_window_s(0.52, 0.4), fitting_window_s(0.84, 0.4), fitting_window_s(0.9, 0.4)
    (1.0, 1.3, 1.3)
    """
    tenths = math.ceil(round(10 * (word_s + tail_s), 6))
    return min(LONGEST_WINDOW_S, max(USUAL_WINDOW_S, tenths / 10))
