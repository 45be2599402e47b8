"""How many threads torch computes with, for a while: sums come out in another order with other numbers of them.

Whoever leaves the number changed changes the weights of everything that this process trains later.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch computes with so many threads inside, and with as many as before after it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
