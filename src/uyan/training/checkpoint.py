"""Checkpoints without pickle: tensors in safetensors, the structure around them as JSON in its header.

Lightning hands over nested dicts of tensors, numbers and strings; they are flattened on the way out and rebuilt on the
way in. Written atomically: after a kill at any moment the last whole checkpoint is there. It knows nothing of what
the values mean.
"""

import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from uyan.errors import TrainingError
from uyan.files import replacing

CONFIG_HASH = "config_hash"
_STRUCTURE = "structure"
_TENSOR, _ITEMS, _TUPLE = "__tensor__", "__items__", "__tuple__"


class SafetensorsIO(CheckpointIO):
    """Lightning's checkpoints as one safetensors file that names the configuration it belongs to."""

    def __init__(self, config_hash: str) -> None:
        self.config_hash = config_hash

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write the whole training state."""
        tensors: dict[str, torch.Tensor] = {}
        structure = _flatten(checkpoint, tensors, "")
        save_tensors(Path(path), tensors, {_STRUCTURE: json.dumps(structure), CONFIG_HASH: self.config_hash})

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        """Read it back. Raises TrainingError when it is torn or of another configuration."""
        tensors, metadata = load_tensors(Path(path))
        if metadata.get(CONFIG_HASH) != self.config_hash:
            raise TrainingError(f"{path}: of another configuration; choose another --out, or delete it to start over")
        return _rebuild(json.loads(metadata[_STRUCTURE]), tensors)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write tensors by name and text metadata to a safetensors file, atomically."""
    owned = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as partial:
        save_file(owned, partial, metadata)


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors by name and the metadata. Raises TrainingError for a missing or torn file."""
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, SafetensorError) as reason:
        raise TrainingError(f"{path}: not a readable checkpoint ({reason}); delete it to start over") from reason


def _flatten(value: Any, tensors: dict[str, torch.Tensor], name: str) -> Any:
    """JSON for `value`; tensors go into `tensors`, under their number and path: the keys 0 and "0" share a path."""
    if isinstance(value, torch.Tensor):
        stored = f"{len(tensors)}{name}"
        tensors[stored] = value
        return {_TENSOR: stored}
    if isinstance(value, dict):
        return {_ITEMS: [[key, _flatten(item, tensors, f"{name}/{key}")] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_flatten(item, tensors, f"{name}/{i}") for i, item in enumerate(value)]
        return {_TUPLE: items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TrainingError(f"checkpoint entry {name} is a {type(value).__name__}, which is not stored")


def _rebuild(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_rebuild(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    if _TUPLE in value:
        return tuple(_rebuild(item, tensors) for item in value[_TUPLE])
    return {key: _rebuild(item, tensors) for key, item in value[_ITEMS]}
