"""The processes that train together: which of them this one is, what the first tells the others, and sums over all.

A process that trains alone is the first of one, and nothing of this costs it anything. A process that dies closes its
connections, which ends the others at once; only one that hangs is waited for, `STEP_LIMIT` in a step and `STAGE_LIMIT`
while the first works on a stage alone. Messages are pickled: between processes of one group, never from a file. It
knows nothing of what is computed.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from uyan.errors import ClusterError, ConfigError, UyanError

if TYPE_CHECKING:
    from torch import Tensor

STEP_LIMIT, STAGE_LIMIT = timedelta(minutes=30), timedelta(days=30)
"""Longest wait for another process: in a step of training, and for a stage that the first does for all."""
PARENT_SEEN_S = 1.0
GOES_ON = "the same command goes on where it stopped"
LOST = ("closed by peer", "reset by peer", "broken pipe", "timed out", "remote process exit")
"""What gloo and NCCL say, in whatever case, of a process that is gone or was waited for in vain."""
_SETTINGS = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Of the environment: what torchrun, and whoever else starts such processes, tells each of them."""

Answer = TypeVar("Answer")


class GroupEnded(BaseException):
    """Another process of the group has ended, and has told why."""


@dataclass(frozen=True)
class Ranks:
    """One of the processes that train together."""

    rank: int = 0
    count: int = 1
    local: int = 0
    """Number among those on this computer."""
    local_count: int = 1
    """Processes on this computer."""
    _stages: Any = None
    """The connection that waits as long as it takes."""

    @property
    def first(self) -> bool:
        """Whether this one does what is done once: files, lines, progress, stages before and after training."""
        return self.rank == 0

    def from_first(self, function: Callable[[], Answer]) -> Answer:
        """What `function` gives in the first process, in all of them; it is called in no other.

        Raises what it raises there, and GroupEnded in the others.
        """
        if self.count == 1:
            return function()
        if not self.first:
            (done, answer) = self._sent((False, None))
            if not done:
                raise GroupEnded
            return answer  # type: ignore[no-any-return]
        try:
            answer = function()
        except BaseException:
            self._sent((False, None))
            raise
        self._sent((True, answer))
        return answer

    def _sent(self, message: tuple[bool, Any]) -> tuple[bool, Any]:
        from torch import distributed

        box = [message]
        distributed.broadcast_object_list(box, src=0, group=self._stages)
        return box[0]

    def total(self, value: "Tensor") -> "Tensor":
        """The sum of a tensor, of the same shape everywhere, over all processes; equal in all of them to the bit."""
        value = value.detach()
        if self.count == 1:
            return value
        from torch import distributed

        summed = value.clone()
        distributed.all_reduce(summed)
        return summed

    def gathered(self, value: "Tensor") -> "Tensor":
        """A tensor (…), of the same shape everywhere, of all processes in the order of their ranks: (processes, …)."""
        import torch
        from torch import distributed

        if self.count == 1:
            return value.detach()[None]
        parts = [torch.empty_like(value) for _ in range(self.count)]
        distributed.all_gather(parts, value.detach().contiguous())
        return torch.stack(parts)

    def sum_in_place(self, tensors: "Sequence[Tensor]") -> None:
        """Put the sums over all processes into tensors of the same shapes everywhere, in one message.

        Always the same numbers in the same places of it: with three processes or more the order of a sum, and so its
        last bit, depends on the place.
        """
        if self.count == 1:
            return
        import torch

        sums = self.total(torch.cat([tensor.reshape(-1) for tensor in tensors]))
        parts = torch.split_with_sizes(sums, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def agreed(self, error: UyanError) -> BaseException:
        """What to raise where all processes find the same error: the first tells it, the others end."""
        return error if self.first else GroupEnded()


ALONE = Ranks()


def started_as_group() -> bool:
    """Whether this process was started as one of several, by `pipeline.processes`, torchrun or another of its kind."""
    return all(os.environ.get(name) for name in _SETTINGS) and os.environ["WORLD_SIZE"] != "1"


@contextmanager
def joined() -> Iterator[Ranks]:
    """This process as one of the group it was started in, until the block ends; alone, where there is none.

    Raises ConfigError for settings that make no group, ClusterError in the first process where another one is lost,
    GroupEnded in the others.
    """
    if not started_as_group():
        yield ALONE
        return
    from torch import distributed

    with _answering(int(os.environ["RANK"])):
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        _start()
        try:
            yield ranks_of_group()
        finally:
            distributed.destroy_process_group()


def _end_with(parent: int) -> None:
    """Whoever has started this process and is gone can no longer end it."""
    while os.getppid() == parent:
        time.sleep(PARENT_SEEN_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _start() -> None:
    import torch
    from torch import distributed

    backend = "gloo"
    if torch.cuda.is_available():
        local = int(os.environ.get("LOCAL_RANK", 0))
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"process {local + 1} on this computer has no GPU of its own, there are {torch.cuda.device_count()}; "
                "start as many processes as there are GPUs"
            )
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=STEP_LIMIT)


def ranks_of_group() -> Ranks:
    """This process in torch's group, on the GPU of its number on this computer where there are any."""
    import torch
    from torch import distributed

    count = distributed.get_world_size()
    local_count = int(os.environ.get("LOCAL_WORLD_SIZE", count))
    rank = distributed.get_rank()
    local = int(os.environ.get("LOCAL_RANK", rank % local_count))
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    return Ranks(rank, count, local, local_count, distributed.new_group(backend="gloo", timeout=STAGE_LIMIT))


@contextmanager
def _answering(rank: int) -> Iterator[None]:
    """The first process answers Ctrl-C and SIGTERM, and the others end with it; a lost one is told of once."""
    handlers = {signal.SIGINT: signal.getsignal(signal.SIGINT), signal.SIGTERM: signal.getsignal(signal.SIGTERM)}
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupt if rank == 0 else signal.SIG_IGN)
        signal.signal(signal.SIGTERM, interrupt if rank == 0 else signal.SIG_DFL)
    try:
        yield
    except RuntimeError as reason:
        if not lost(reason):
            raise
        if rank:
            raise GroupEnded from reason
        raise ClusterError(
            f"another of the processes that train together was lost ({_first_line(reason)}); {GOES_ON}"
        ) from reason
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def interrupt(number: int, frame: Any) -> None:
    """A signal handler: once, whatever comes after it."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def lost(reason: RuntimeError) -> bool:
    """Whether an error of torch says that another process is gone, or was waited for in vain; not that it was misused.

    >>> lost(RuntimeError("[pair.cc:534] Connection closed by peer")), lost(RuntimeError("no gloo tensor"))
    (True, False)
    """
    from torch import distributed

    gone = distributed.DistNetworkError, distributed.DistStoreError
    said = str(reason).lower()
    return isinstance(reason, gone) or any(phrase in said for phrase in LOST)


def _first_line(reason: BaseException) -> str:
    """What it says, without its pages."""
    return (str(reason).strip() or type(reason).__name__).splitlines()[0][:300]
