"""pyopen-wakeword (openWakeWord's models in TensorFlow Lite's C library); a score every 80 ms.

At its first chunk it also scores the eight seconds of silence that it pretends to have heard."""

from collections.abc import Iterable

from bench.peers.protocol import Job, Listener, serve


def load(job: Job) -> Listener:
    """`job.model` is the value of one of the package's `Model`s; no thread option, one thread by default."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures  # type: ignore[import-not-found]

    features = OpenWakeWordFeatures.from_builtin()
    model = OpenWakeWord.from_builtin(Model(job.model))

    def hear(chunk: bytes) -> Iterable[float]:
        fresh = features.process_streaming(chunk)
        return [score for embeddings in fresh for score in model.process_streaming(embeddings)]

    return hear


if __name__ == "__main__":
    serve("pyopen_wakeword", load)
