"""What a second of audio costs the shipping detector as it listens, by the size of the chunks that come in.

CPU seconds of this process, on made-up speech. The networks are untrained: their cost does not depend on their
weights.
"""

import statistics
import time
from functools import partial

import numpy as np

from bench.dense_scoring import default_bundle
from bench.measure import Figure, seconds_of, speech_like
from uyan.audio import INT16_SCALE, SAMPLE_RATE, Samples
from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.frontend import Cmvn, FrontendConfig, log_mel
from uyan.model.network import Size

CHUNKS_MS = 10, 20, 80
HOP_MS = 100
TARGET_SHARE, TARGET_TTA_SHARE, TARGET_HOP_MS = 0.001, 0.0015, 0.5
"""In chunks of a hop: of a core, plain and with averaged scores; 95 of 100 hops take no longer."""
SIZES: tuple[Size, ...] = "small", "large"
"""Of networks beside the default one, in the longest chunks."""


def streaming_cost(seconds: float = 60.0, repeats: int = 7) -> list[Figure]:
    """CPU seconds per second of audio, medians; repetitions of the cases alternate."""
    speech = speech_like(seconds, np.random.default_rng(42))
    cmvn = Cmvn.of(log_mel(speech, FrontendConfig()), FrontendConfig())
    cases = {f"detector, chunks of {chunk_ms} ms": (default_bundle(cmvn), chunk_ms) for chunk_ms in CHUNKS_MS}
    cases |= {f"detector, {size} network, chunks of 80 ms": (default_bundle(cmvn, size), 80) for size in SIZES}
    taken: dict[str, list[float]] = {case: [] for case in cases}
    for turn in range(1 + repeats):
        for case, (bundle, chunk_ms) in cases.items():
            cost = _listen(bundle, speech, chunk_ms)
            if turn:  # the first one warms up
                taken[case].append(cost)
    note = f"CPU seconds per second of {seconds:.0f} s"
    figures = [Figure(case, statistics.median(costs), "s", note=note) for case, costs in taken.items()]
    return figures + _a_hop_at_a_time(default_bundle(cmvn), speech, repeats)


def _a_hop_at_a_time(bundle: Bundle, speech: Samples, repeats: int) -> list[Figure]:
    """As a microphone with blocks of 100 ms delivers them: shares of a core and the slow end of a hop's time."""
    figures = []
    for name, tta, target in (("", False, TARGET_SHARE), (", averaged scores", True, TARGET_TTA_SHARE)):
        shares, slow_ms = [], []
        for _ in range(repeats):
            detector, hop = Detector(bundle, tta=tta), SAMPLE_RATE * HOP_MS // 1000
            chunks = [speech[start : start + hop] for start in range(0, speech.size - hop + 1, hop)]
            begin = time.process_time()
            times_s = [seconds_of(partial(detector.push, chunk)) for chunk in chunks]
            shares.append((time.process_time() - begin) / (speech.size / SAMPLE_RATE))
            slow_ms.append(1000 * float(np.percentile(times_s, 95, method="inverted_cdf")))
        what = f"detector, chunks of {HOP_MS} ms{name}"
        figures += [
            Figure(what, statistics.median(shares), "s", target, at_most=True, note="CPU seconds per second"),
            Figure(f"{what}, p95", statistics.median(slow_ms), "ms", TARGET_HOP_MS, at_most=True, note="a chunk"),
        ]
    return figures


def _listen(bundle: Bundle, speech: Samples, chunk_ms: int) -> float:
    pcm = (speech * INT16_SCALE).astype(np.int16)
    chunk = SAMPLE_RATE * chunk_ms // 1000
    detector = Detector(bundle)
    begin = time.process_time()
    for start in range(0, pcm.size - chunk + 1, chunk):
        detector.push(pcm[start : start + chunk])
    return (time.process_time() - begin) / (pcm.size / SAMPLE_RATE)
