"""What a second of audio costs the shipping detector as it listens, by the size of the chunks that come in.

CPU seconds of this process, on made-up speech. The network is the default one, untrained: its cost does not depend on
its weights.
"""

import statistics
import time

import numpy as np

from bench.dense_scoring import default_bundle
from bench.measure import Figure, speech_like
from uyan.audio import INT16_SCALE, SAMPLE_RATE, Samples
from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.frontend import Cmvn, FrontendConfig, log_mel

CHUNKS_MS = 10, 20, 80


def streaming_cost(seconds: float = 60.0, repeats: int = 7) -> list[Figure]:
    """CPU seconds per second of audio, medians; repetitions of the sizes alternate."""
    speech = speech_like(seconds, np.random.default_rng(42))
    bundle = default_bundle(Cmvn.of(log_mel(speech, FrontendConfig()), FrontendConfig()))
    taken: dict[int, list[float]] = {chunk_ms: [] for chunk_ms in CHUNKS_MS}
    _listen(bundle, speech, CHUNKS_MS[-1])
    for _ in range(repeats):
        for chunk_ms, costs in taken.items():
            costs.append(_listen(bundle, speech, chunk_ms))
    note = f"CPU seconds per second of {seconds:.0f} s"
    return [Figure(f"detector, chunks of {ms} ms", statistics.median(taken[ms]), "s", note=note) for ms in CHUNKS_MS]


def _listen(bundle: Bundle, speech: Samples, chunk_ms: int) -> float:
    pcm = (speech * INT16_SCALE).astype(np.int16)
    chunk = SAMPLE_RATE * chunk_ms // 1000
    detector = Detector(bundle)
    begin = time.process_time()
    for start in range(0, pcm.size - chunk + 1, chunk):
        detector.push(pcm[start : start + chunk])
    return (time.process_time() - begin) / (pcm.size / SAMPLE_RATE)
