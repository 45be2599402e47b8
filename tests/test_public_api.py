import subprocess
import sys

import uyan


def test_the_public_names_are_these_and_no_other() -> None:
    assert uyan.__all__ == [
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


def test_every_public_name_exists_and_has_a_docstring() -> None:
    for name in uyan.__all__:
        assert getattr(uyan, name).__doc__


def test_every_error_is_a_uyan_error() -> None:
    errors = [getattr(uyan, name) for name in uyan.__all__ if name.endswith("Error")]
    assert all(issubclass(error, uyan.UyanError) for error in errors)
    assert uyan.UyanError.__bases__ == (Exception,)


PROGRAM = """
import sys
import uyan
heavy = {"torch", "lightning", "polars", "pydantic", "scipy", "typer", "onnx", "onnxruntime", "matplotlib"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_importing_uyan_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
