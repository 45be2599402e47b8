"""Run by tests, as one of several processes that train together: the training of `test_fit`, reported as JSON.

fit_in_group.py FOLDER OPTIONS: options are `train`'s, and `stop`, after how many steps the first process is to be
interrupted, or the last one to kill itself (negative); `config`, what of the training is to be otherwise.
"""

import hashlib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from test_fit import BATCHES, CONFIG, train

from uyan.errors import UyanError
from uyan.model.network import Network
from uyan.ranks import GroupEnded, joined


def main() -> int:
    folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    config = replace(CONFIG, **options.pop("config", {}))
    stop, size, report = options.pop("stop", 0), options.pop("size", BATCHES.size), {}
    torch.set_num_threads(1)
    try:
        with joined() as ranks:
            losses: list[dict[str, float]] = []

            def progress(stage: str, done: int, total: int) -> None:
                if stop > 0 and done == stop and ranks.first:
                    os.kill(os.getpid(), signal.SIGTERM if options.get("term") else signal.SIGINT)
                if stop < 0 and done == -stop and not ranks.first:
                    os.kill(os.getpid(), signal.SIGKILL)

            if options.get("double"):
                in_double_precision()
            weights = train(
                folder,
                BATCHES.__class__(**{**vars(BATCHES), "size": size}),
                config,
                lambda epoch, values: losses.append(values),
                progress,
                options.get("rounds", 0),
                options.get("resident", False),
                ranks,
                options.get("variants", 0),
            )
            report = {"losses": losses, "weights": digest(weights), "rank": ranks.rank}
            (folder / f"report-{ranks.rank}.json").write_text(json.dumps(report))
    except KeyboardInterrupt:
        return 130
    except GroupEnded:
        return 1
    except UyanError as reason:
        print(reason, file=sys.stderr)
        return 2
    return 0


def in_double_precision() -> None:
    """What differs by the order of a sum then differs too little to grow within a test."""
    forward, make = Network.forward, Network.__init__

    def doubled(network: Network, *how: Any) -> None:
        make(network, *how)
        network.double()

    Network.__init__ = doubled  # type: ignore[method-assign]
    Network.forward = lambda network, features: forward(network, features.double())  # type: ignore[method-assign]


def digest(weights: dict[str, Any]) -> str:
    """Of all bits."""
    return hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights))).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
