"""The one file that ships: an ONNX network with CMVN inside and everything else in its metadata.

A bundle is read as data only: size, checksum (container.py) and metadata are verified before an inference session is
made; nothing is unpickled. It knows the network's input and output but nothing of streams.
"""

import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from uyan.container import sealed_text
from uyan.decision import DetectorConfig
from uyan.errors import BundleError, ConfigError
from uyan.frontend import Cmvn, Features, FrontendConfig, seconds_to_frames

if TYPE_CHECKING:
    import onnxruntime

MAX_BUNDLE_BYTES = 256 * 1024**2
FORMAT = 3
STRIDE_FRAMES = 2
"""Frames between two positions of the network's output (20 ms)."""
CHUNK_FRAMES = 3_000
"""Frames scored at once (30 s): long enough to be fast, short enough to stay in cache and in memory."""
MOST_REMEMBERED = 2**20
"""Numbers of a stream: a bundle from a stranger must not fill the memory, hop by hop."""
INPUT, OUTPUT = "features", "logits"
MEMORY_IN, MEMORY_OUT = "memory_{}", "next_{}"
"""Beside them, one a layer that looks back: `model.streaming`."""

Settings = TypeVar("Settings", FrontendConfig, DetectorConfig)

Logits = NDArray[np.float32]
"""Network output, shape (2, positions): background, keyword."""
Memory = list[NDArray[np.float32]]
"""What the network remembers of a stream, one array (batch, channels, 1, frames) a layer that looks back."""


@dataclass(frozen=True)
class BundleInfo:
    """Everything a detector needs besides the graph, and what was measured of it."""

    label: str
    """The keyword."""
    frontend: FrontendConfig
    cmvn: Cmvn
    """Already folded into the graph; kept to be compared with `stats.json`."""
    window_frames: int
    temperature: float
    threshold: float
    tta_threshold: float
    """Of scores averaged over neighbouring positions (MISSION 6.3)."""
    detector: DetectorConfig
    config_hash: str
    """sha256 of the resolved recipe."""
    version: str
    """The uyan that made it."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Clips, hours and speakers a split."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """Figures on the test split, with their denominators and intervals."""

    def operating_threshold(self, tta: bool) -> float:
        """The threshold that belongs to averaged scores or to plain ones."""
        return self.tta_threshold if tta else self.threshold

    def to_json(self) -> str:
        """Canonical JSON, front-end digest included."""
        raw = {"format": FORMAT, "frontend_digest": self.frontend.digest(), **asdict(self)}
        return json.dumps(raw, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "BundleInfo":
        """The inverse of `to_json`. Raises BundleError for a missing, ill-typed or contradicting field."""
        try:
            raw = json.loads(text)
            if raw["format"] != FORMAT:
                raise BundleError(f"bundle format {raw['format']!r}; this uyan reads format {FORMAT}")
            info = cls(
                label=_typed(raw, "label", str),
                frontend=_settings(raw["frontend"], FrontendConfig),
                cmvn=Cmvn.from_json(json.dumps(raw["cmvn"])),
                window_frames=_typed(raw, "window_frames", int),
                temperature=_typed(raw, "temperature", float),
                threshold=_typed(raw, "threshold", float),
                tta_threshold=_typed(raw, "tta_threshold", float),
                detector=_settings(raw["detector"], DetectorConfig),
                config_hash=_typed(raw, "config_hash", str),
                version=_typed(raw, "version", str),
                data=_typed(raw, "data", dict),
                measured=_typed(raw, "measured", dict),
            )
            digests = {raw["frontend_digest"], info.cmvn.frontend, info.frontend.digest()}
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, ConfigError) as reason:
            raise BundleError(f"bundle metadata is not valid ({reason!r})") from reason
        if len(digests) > 1:
            raise BundleError("made for another front end; train again or use the uyan that made the bundle")
        info._check_ranges()
        return info

    def _check_ranges(self) -> None:
        in_range = all(0 <= threshold <= 1 for threshold in (self.threshold, self.tta_threshold))
        if not (0 < self.temperature < math.inf and in_range):
            raise BundleError("bundle metadata: temperature or threshold out of range")
        if not seconds_to_frames(self.detector.hop_s) <= self.window_frames <= CHUNK_FRAMES:
            raise BundleError(
                f"bundle metadata: a window of {self.window_frames} frames; need one hop ({self.detector.hop_s:g} s) "
                f"at least and {CHUNK_FRAMES} frames at most"
            )
        if not len(self.cmvn.mean) == len(self.cmvn.variance) == self.frontend.mels:
            raise BundleError(f"bundle metadata: CMVN statistics are not for {self.frontend.mels} mels")
        # Labels are printed: a stranger's must not steer the terminal.
        if not self.label or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in self.label):
            raise BundleError(f"bundle metadata: the label {self.label!r} is empty or holds control characters")


def _settings(raw: Any, kind: type[Settings]) -> Settings:
    """A config from a JSON object that has all its fields and no other."""
    return kind(**{**raw, **{each.name: _typed(raw, each.name, each.type) for each in fields(kind)}})


def _typed(raw: Any, name: str, kind: Any) -> Any:
    """A field that has that JSON type: an integer will do for a float, true and false for neither."""
    value = raw[name]
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{name} must be {kind.__name__}, not {value!r}")
    return kind(value)


class Bundle:
    """A loaded bundle: `info`, and logits for features."""

    def __init__(self, path: Path, data: bytes, threads: int = 1) -> None:
        self.path = path
        self.data = data
        self._threads = threads
        self._session_lock = Lock()
        self._session: onnxruntime.InferenceSession | None = None
        self._remembered: list[tuple[int, ...]] = []
        """Shapes of the memories without their batch, as the first pass left them."""
        try:
            self.info = BundleInfo.from_json(sealed_text(data))
        except BundleError as reason:
            raise BundleError(f"{path}: {reason}") from reason

    @property
    def session(self) -> "onnxruntime.InferenceSession":
        """The inference session, made on first use, one for all threads."""
        if self._session is None:
            with self._session_lock:
                self._session = self._session or self._made_session()
        return self._session

    def _made_session(self) -> "onnxruntime.InferenceSession":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(self.data, options, providers=["CPUExecutionProvider"])
            found = self._probed(session)
        except Exception as reason:  # onnxruntime raises its own, unexported types
            raise BundleError(f"{self.path}: the network cannot be run ({reason})") from reason
        if sum(math.prod(shape) for shape in self._remembered) > MOST_REMEMBERED:
            raise BundleError(f"{self.path}: the network remembers more than {MOST_REMEMBERED:,} numbers of a stream")
        if found != [(1, 2, 2), (1, 2, 1)]:
            raise BundleError(f"{self.path}: the network gives {found} for two windows and one more, not 2 and 1")
        return session

    def _probed(self, session: "onnxruntime.InferenceSession") -> list[tuple[int, ...]]:
        """Shapes of the logits of two windows, and of one more: the metadata speaks of this very network."""
        mels, window = self.info.frontend.mels, self.info.window_frames
        first, *memory = _passed(session, np.zeros((1, mels, window + STRIDE_FRAMES), np.float32), [])
        self._remembered = [layer.shape[1:] for layer in memory]
        second, *_ = _passed(session, np.zeros((1, mels, STRIDE_FRAMES), np.float32), memory)
        return [first.shape, second.shape]

    def run(self, features: NDArray[np.float32], memory: Memory) -> tuple[NDArray[np.float32], Memory]:
        """One pass: features (batch, mels, frames) to logits (batch, 2, positions) and what to remember.

        An empty memory begins a stream: then a whole window of frames is needed, and `STRIDE_FRAMES` at least later.
        """
        logits, *memory = _passed(self.session, features, memory)
        if [layer.shape[1:] for layer in memory] != self._remembered:
            raise BundleError(f"{self.path}: the network remembers more of a stream, or less, than it did before")
        return logits, memory

    def step(self, features: Features, memory: Memory) -> tuple[Logits, Memory]:
        """The next logits of a stream, shape (2, positions), 20 ms apart, for its next features (mels, frames).

        What is too short for one more position is left out and not remembered. Long input goes in chunks, which leave
        no seam.
        """
        parts, start = [np.empty((2, 0), np.float32)], 0
        needed = STRIDE_FRAMES if memory else self.info.window_frames
        while (left := features.shape[1] - start) >= needed:
            used = needed + (min(left, CHUNK_FRAMES) - needed) // STRIDE_FRAMES * STRIDE_FRAMES
            chunk = np.ascontiguousarray(features[np.newaxis, :, start : start + used], np.float32)
            logits, memory = self.run(chunk, memory)
            parts.append(logits[0])
            start, needed = start + used, STRIDE_FRAMES
        return np.concatenate(parts, axis=1), memory

    def logits(self, features: Features) -> Logits:
        """Logits at every position, 20 ms apart, shape (2, positions), for features of shape (mels, frames).

        Position p sees frames [2p, 2p + window_frames).
        """
        return self.step(features, [])[0]

    def scores(self, logits: Logits) -> NDArray[np.float64]:
        """Calibrated keyword probability of logits (2, positions), shape (positions,): softmax(logits / T)."""
        return scores_from_logits(logits, self.info.temperature)


def _passed(
    session: "onnxruntime.InferenceSession", features: NDArray[np.float32], memory: Memory
) -> list[NDArray[np.float32]]:
    """Logits, and the memories after them."""
    if not memory:
        _, *layers = session.get_inputs()
        memory = [np.empty((features.shape[0], layer.shape[1], 1, 0), np.float32) for layer in layers]
    feed = {MEMORY_IN.format(layer): values for layer, values in enumerate(memory)}
    outputs: list[NDArray[np.float32]] = session.run(None, {INPUT: features, **feed})
    return outputs


def scores_from_logits(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """softmax(logits / T) of the keyword, in float64 so that scores near 1 stay apart.

    >>> scores_from_logits(np.array([[0.0], [0.0]], np.float32), 2.0).tolist()
    [0.5]
    """
    margin = (logits[1].astype(np.float64) - logits[0]) / temperature
    scores: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -margin))
    return scores


def load(path: str | Path, threads: int = 1) -> Bundle:
    """Load a bundle. Raises BundleError when it is missing, torn, altered or made for another front end."""
    path = Path(path)
    try:
        if not path.is_file():
            raise BundleError(f"{path}: no such bundle")
        if path.stat().st_size > MAX_BUNDLE_BYTES:
            raise BundleError(f"{path}: larger than {MAX_BUNDLE_BYTES // 1024**2} MB; not a uyan bundle")
        data = path.read_bytes()
    except OSError as reason:
        raise BundleError(f"{path}: cannot be read ({reason.strerror})") from reason
    return Bundle(path, data, threads)
