"""An ONNX voice run with noise that the caller draws, and, where the graph has them, the lengths of its phonemes.

A VITS graph draws its own noise (RandomNormalLike) from a generator that depends on all that was said before: the same
clip would sound different in another process. Here those nodes read from an input instead. A drop-in for
onnxruntime's session; the model is parsed, never executed from outside files. It knows nothing of text.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from uyan.errors import VoiceError

NOISE, NOISE_SAMPLES = "uyan_noise", 1 << 18
"""Values of noise a run, 1 MB; a longer utterance reads them from the start again."""
OFFSET = 77_777
"""Where the next node begins to read, so that no two have the same noise."""


class SeededSession:
    """The session of one model, one thread, so that processes beside each other do not fight for the cores."""

    def __init__(self, path: Path) -> None:
        """Raises VoiceError for a file that is missing, truncated or no model."""
        import onnx
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            model = onnx.load(str(path), load_external_data=False)
            self.random = _with_noise_as_input(model.graph)
            _with_lengths_as_output(model.graph)
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except FileNotFoundError as reason:
            raise VoiceError(f"{path}: no such file; `uyan voices fetch` gets one") from reason
        except Exception as reason:  # protobuf's, onnx's and onnxruntime's errors have no base in common
            problem = f"{path}: is no voice, or only part of one ({first_line(reason)}); fetch it again"
            raise VoiceError(problem) from reason
        self._model_path = str(path)
        self.rng = np.random.default_rng(0)
        """What the next run draws its noise from."""

    def run(self, names: list[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        """As onnxruntime does."""
        noise = {}
        if self.random:
            noise[NOISE] = self.rng.standard_normal(NOISE_SAMPLES, dtype=np.float32)
        outputs: list[Any] = self._session.run(names, {**feeds, **noise})
        return outputs

    def get_inputs(self) -> list[Any]:
        """Those that the caller feeds."""
        return [given for given in self._session.get_inputs() if given.name != NOISE]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def first_line(reason: Exception) -> str:
    """What a library says of an error, in short.

    >>> first_line(ValueError("wrong\\nat 0x7f")), first_line(IndexError())
    ('wrong', 'IndexError')
    """
    return str(reason).splitlines()[0][:200] if str(reason) else type(reason).__name__


def _with_noise_as_input(graph: Any) -> bool:
    """Let every RandomNormalLike node of the graph read from the new input, from another place each.

    Its shape stays that of its own input: value k of a node is noise[(k + offset) mod its length].
    """
    from onnx import TensorProto, helper

    random = [number for number, node in enumerate(graph.node) if node.op_type == "RandomNormalLike"]
    for place, number in reversed(list(enumerate(random))):
        (like,), (out,) = graph.node[number].input, graph.node[number].output
        prefix = f"{NOISE}_{place}"
        zero, one, offset, length = (
            helper.make_node(
                "Constant", [], [f"{prefix}_{name}"], value=helper.make_tensor(name, TensorProto.INT64, [], [value])
            )
            for name, value in (("0", 0), ("1", 1), ("offset", OFFSET * place), ("length", NOISE_SAMPLES))
        )
        steps = [
            ("Shape", [like], "shape"),
            ("Size", [like], "size"),
            ("Range", [zero.output[0], f"{prefix}_size", one.output[0]], "range"),
            ("Add", [f"{prefix}_range", offset.output[0]], "shifted"),
            ("Mod", [f"{prefix}_shifted", length.output[0]], "index"),
            ("Gather", [NOISE, f"{prefix}_index"], "flat"),
        ]
        made = [helper.make_node(kind, given, [f"{prefix}_{name}"]) for kind, given, name in steps]
        made.append(helper.make_node("Reshape", [f"{prefix}_flat", f"{prefix}_shape"], [out]))
        nodes = list(graph.node)
        nodes[number : number + 1] = [zero, one, offset, length, *made]
        del graph.node[:]
        graph.node.extend(nodes)
    if random:
        graph.input.append(helper.make_tensor_value_info(NOISE, TensorProto.FLOAT, [NOISE_SAMPLES]))
    return bool(random)


def _with_lengths_as_output(graph: Any) -> None:
    """The frames of each phoneme, the output of a VITS graph's one Ceil, beside the sound, unless it is there."""
    import onnx

    ceils = [node.output[0] for node in graph.node if node.op_type == "Ceil"]
    if len(ceils) == 1 and ceils[0] not in [output.name for output in graph.output]:
        value = onnx.ValueInfoProto()
        value.name = ceils[0]
        graph.output.append(value)
