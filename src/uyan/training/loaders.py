"""Where the batches of a training come from: features that stay on the device, or files that loader processes read.

It knows nothing of which of the two suits a run: that is settled before the first step (`pipeline.loading`).
"""

from collections.abc import Iterable

from uyan.data.examples import BatchConfig, ExampleMaker
from uyan.data.loader import TensorBatch, make_loader, worker_count
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.resident.resident_loader import ResidentLoader, ResidentMaker
from uyan.data.sampler import BalancedBatchSampler
from uyan.data.share import Share
from uyan.ranks import Ranks

JUDGED_AHEAD = 2
"""Validation batches each worker keeps ready."""
Side = tuple[ExampleMaker, BalancedBatchSampler]
"""What makes examples, and the order it makes them in."""


def make_loaders(
    train: Side, validation: Side, batches: BatchConfig, resident: ResidentFeatures | None, ranks: Ranks
) -> tuple[Iterable[TensorBatch], Iterable[TensorBatch]]:
    """Loaders of both splits, for one phase of training; from `resident`, where there are such features.

    Each of `ranks` loads its share of every batch.
    """
    share = Share(ranks.rank, ranks.count)
    if resident is not None:
        ours, theirs = (
            ResidentLoader(ResidentMaker(maker, resident), order, share) for maker, order in (train, validation)
        )
        return ours, theirs
    wanted = batches.workers, batches.validation_workers
    workers, judging = (worker_count(count, ranks.local_count) for count in wanted)
    processes = 1 + workers + judging
    return (
        make_loader(*train, workers, batches.prefetch, processes, share),
        make_loader(*validation, judging, JUDGED_AHEAD, processes, share),
    )
