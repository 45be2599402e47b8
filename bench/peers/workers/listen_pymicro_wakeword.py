"""pymicro-wakeword (microWakeWord's quantised models in TensorFlow Lite's C library); scores every 30 ms.

The package averages its last five probabilities itself. Of the scores of one chunk the highest is handed out.
"""

from collections.abc import Iterable

from bench.peers.protocol import Job, Listener, serve


def load(job: Job) -> Listener:
    """`job.model` is the value of one of the package's `Model`s; no thread option, one thread by default."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model  # type: ignore[import-not-found]

    features = MicroWakeWordFeatures()
    model = MicroWakeWord.from_builtin(Model(job.model))

    def hear(chunk: bytes) -> Iterable[float]:
        # 0.0 is also what it answers between two strides, so that the highest is the one that counts.
        scores = [model.process_streaming_prob(each) for each in features.process_streaming(chunk)]
        return [max(scores)] if scores else []

    return hear


if __name__ == "__main__":
    serve("pymicro_wakeword", load)
