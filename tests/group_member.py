"""Run by tests, as one of several processes: asks its group what `test_ranks` wants to know."""

import os
import signal
import sys
import time
from pathlib import Path

import torch

from uyan.errors import DataError, UyanError
from uyan.ranks import GroupEnded, Ranks, joined


def sums(ranks: Ranks, folder: Path) -> None:
    """Told by every process in a file of its own."""
    mine = torch.tensor([1.0, 10.0]) * (ranks.rank + 1)
    parts = [mine.clone(), mine[:1].clone().reshape(1, 1)]
    ranks.sum_in_place(parts)
    told = ranks.from_first(lambda: ("from", ranks.rank, {"a": mine.tolist()}))
    place = ranks.rank, ranks.count, ranks.local, ranks.local_count, ranks.first
    found = place, ranks.total(mine).tolist(), ranks.gathered(mine).tolist(), [p.tolist() for p in parts], told
    (folder / str(ranks.rank)).write_text(repr(found))


def wrong(ranks: Ranks, folder: Path) -> None:
    """The first finds an error in what it does for all."""

    def look() -> None:
        raise DataError("the first has found nothing")

    ranks.from_first(look)


def agreed(ranks: Ranks, folder: Path) -> None:
    """All find the same error."""
    raise ranks.agreed(DataError("all have found nothing"))


def kill_last(ranks: Ranks, folder: Path) -> None:
    """In the middle of a sum."""
    if not ranks.first:
        os.kill(os.getpid(), signal.SIGKILL)
    ranks.total(torch.ones(3))


def kill_first(ranks: Ranks, folder: Path) -> None:
    """While the others wait for it, as long as it takes."""
    ranks.from_first(lambda: os.kill(os.getpid(), signal.SIGKILL))


def wait(ranks: Ranks, folder: Path) -> None:
    """For as long as a test takes."""
    (folder / str(ranks.rank)).write_text(str(os.getpid()))
    ranks.from_first(lambda: time.sleep(600))


def hang(ranks: Ranks, folder: Path) -> None:
    """All but the first, which waits in a sum for them."""
    (folder / str(ranks.rank)).write_text(str(os.getpid()))
    if not ranks.first:
        time.sleep(600)
    ranks.total(torch.ones(3))


def main() -> int:
    try:
        with joined() as ranks:
            globals()[sys.argv[1]](ranks, Path(sys.argv[2]))
    except GroupEnded:
        return 1
    except UyanError as reason:
        print(f"{type(reason).__name__}: {reason}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
