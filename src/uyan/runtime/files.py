"""A detector over an audio file, block by block, in constant memory.

Long blocks take the dense path through the network and give the detections that a live stream would give. It knows
nothing of how detections are shown.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from uyan.audio_file import stream
from uyan.bundle import Bundle
from uyan.detector import Detection, Detector
from uyan.runtime.listener import Chunk

BLOCK_S = 60.0


def listen_to_file(
    bundles: Bundle | Sequence[Bundle], path: Path, threshold: float | None = None, tta: bool = False
) -> Iterator[Detection]:
    """Detections in a file, as they fire. Raises AudioError when the file cannot be decoded, after those before."""
    detector = Detector(bundles, threshold, tta)
    for block in stream(path, BLOCK_S):
        yield from detector.push(block)


def file_chunks(path: Path) -> Iterator[Chunk]:
    """The file as a stream, to be heard as a microphone is. Raises AudioError when it cannot be decoded."""
    return (Chunk(block) for block in stream(path, BLOCK_S))
