"""A uyan bundle, heard as `Detector` hears it: the scores of its hops and its decision rule, at the shipped threshold.

The score of every hop is handed out, so that the harness can ask the same rule at other thresholds.
"""

from collections.abc import Iterable

from bench.peers.protocol import Job, Listener, serve


def load(job: Job) -> Listener:
    """What `Detector.push` does, a chunk at a time; `job.model` is the bundle's path."""
    import numpy as np

    import uyan
    from uyan.decision import Decision
    from uyan.hop_scorer import HopScorer

    bundle = uyan.load(job.model)
    scorer = HopScorer(bundle)
    decision = Decision(bundle.info.threshold, bundle.info.detector)

    def hear(chunk: bytes) -> Iterable[float]:
        scores: list[float] = scorer.push(np.frombuffer(chunk, "<i2")).tolist()
        for score in scores:
            decision.push(score)
        return scores

    return hear


if __name__ == "__main__":
    serve("uyan", load)
