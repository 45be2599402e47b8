"""A shard of given items, as any writer makes it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uyan.data.shards.shard_writer import ShardWriter


def one_shard(folder: Path, items: Mapping[str, NDArray[np.float16]]) -> Path:
    """The index of a new shard with these features, each of shape (mels, frames), by their names."""
    before = set(folder.glob("*.index"))
    with ShardWriter(folder, len(next(iter(items.values())))) as writer:
        for name, features in items.items():
            writer.add(name, features)
    (made,) = set(folder.glob("*.index")) - before
    return made
