"""uyan: from a folder of recordings to a wake-word detector whose numbers hold on a stream.

import uyan
detector = uyan.Detector(uyan.load("bundle.onnx"))
for detection in detector.push(samples):
    print(detection.label, detection.time_s, detection.score)
"""

from uyan.bundle import Bundle, load
from uyan.detector import Detection, Detector
from uyan.errors import (
    AudioError,
    BundleError,
    ConfigError,
    DataError,
    EvaluationError,
    LeakageError,
    ManifestError,
    MicrophoneError,
    TrainingError,
    UyanError,
)

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "Bundle",
    "BundleError",
    "ConfigError",
    "DataError",
    "Detection",
    "Detector",
    "EvaluationError",
    "LeakageError",
    "ManifestError",
    "MicrophoneError",
    "TrainingError",
    "UyanError",
    "load",
]
