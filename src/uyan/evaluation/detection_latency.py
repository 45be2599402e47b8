"""How long after the word's end the detector fires: what a person waits, before any computer is slow (MISSION 4).

The end of the word is where its energy ends (`uyan.data.locate`), not a hand-made annotation. A detector that is sure
early may fire before the word is over, and its latency is negative. It knows nothing of processing time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from uyan.audio import Samples
from uyan.data.locate import locate_word
from uyan.frontend import HOP_S, FrontendConfig, log_mel


@dataclass(frozen=True)
class DetectionLatency:
    """Seconds from the end of the word to the event."""

    detected: int
    """Positives it is measured on: those the detector fired at."""
    mean_s: float
    median_s: float
    p95_s: float
    earliest_s: float


def word_end_s(samples: Samples, frontend: FrontendConfig) -> float:
    """Where the word in a recording (samples,) ends, in seconds."""
    return locate_word(log_mel(samples, frontend)).end * HOP_S


def detection_latency(latencies_s: Iterable[float]) -> DetectionLatency | None:
    """Summary of the latencies of what was detected; None where nothing was.

    >>> detection_latency([0.1, 0.3]).median_s
    0.2
    """
    values = np.array(list(latencies_s), np.float64)
    if not values.size:
        return None
    return DetectionLatency(
        detected=values.size,
        mean_s=round(float(values.mean()), 4),
        median_s=round(float(np.median(values)), 4),
        p95_s=round(float(np.quantile(values, 0.95)), 4),
        earliest_s=round(float(values.min()), 4),
    )
