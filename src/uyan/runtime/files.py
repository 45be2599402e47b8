"""A detector over an audio file, block by block, in constant memory.

Long blocks take the dense path through the network and give the detections that a live stream would give. It knows
nothing of how detections are shown.
"""

from collections.abc import Iterator
from pathlib import Path

from uyan.audio_file import stream
from uyan.bundle import Bundle
from uyan.detector import Detection, Detector

BLOCK_S = 60.0


def listen_to_file(bundle: Bundle, path: Path, threshold: float | None = None) -> Iterator[Detection]:
    """Detections in a file, as they fire. Raises AudioError when the file cannot be decoded, after those before."""
    detector = Detector(bundle, threshold)
    for block in stream(path, BLOCK_S):
        yield from detector.push(block)
