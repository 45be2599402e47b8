"""openWakeWord (onnxruntime) with one of the models inside its package; one score every 80 ms."""

from collections.abc import Iterable
from pathlib import Path

from bench.peers.protocol import Job, Listener, serve


def load(job: Job) -> Listener:
    """`job.model` is the name of a file in the package's resources; its sessions have one thread each by default."""
    import numpy as np
    import openwakeword  # type: ignore[import-not-found]

    file = Path(openwakeword.__file__).parent / "resources" / "models" / f"{job.model}.onnx"
    model = openwakeword.Model(wakeword_model_paths=[str(file)])

    def hear(chunk: bytes) -> Iterable[float]:
        return [float(score) for score in model.predict(np.frombuffer(chunk, "<i2")).values()]

    return hear


if __name__ == "__main__":
    serve("openwakeword", load)
