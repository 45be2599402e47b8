"""The trunk (stem and blocks) as a file: saved, read back, checked, and given to a network that learns a word.

A trunk says which words, recordings and speakers it learnt from, so that nothing it has heard may judge it later. Read
as data only. It knows nothing of recipes or bundles.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from uyan.data.member import Member
from uyan.errors import ConfigError, LeakageError, TrainingError
from uyan.frontend import HOP_S, Cmvn
from uyan.model.network import Network
from uyan.training.checkpoint import CONFIG_HASH, load_tensors, save_tensors

FORMAT = 1
MAX_TRUNK_BYTES = 64 * 1024**2
HEAD = "head."
"""Prefix of the tensors that are not the trunk's; only weights of a bundle bring them along."""
_INFO = "trunk"


class Shape(NamedTuple):
    """What a trunk and the network that takes it must have in common."""

    size: str
    """The width/depth dial: small, medium, large."""
    window_frames: int
    mels: int
    frontend: str
    """`FrontendConfig.digest()`."""


@dataclass(frozen=True)
class Learnt:
    """Whom and what weights have heard."""

    speakers: frozenset[str] = frozenset()
    """Known speakers only: a made-up id says nothing in another data set."""
    sha1s: frozenset[str] = frozenset()
    """Content hashes of the recordings."""

    def __or__(self, other: "Learnt") -> "Learnt":
        """What either has heard.

        >>> sorted((Learnt(frozenset({"ada"})) | Learnt(frozenset({"bob"}))).speakers)
        ['ada', 'bob']
        """
        return Learnt(self.speakers | other.speakers, self.sha1s | other.sha1s)

    def to_raw(self) -> dict[str, list[str]]:
        """For JSON, sorted."""
        return {name: sorted(values) for name, values in asdict(self).items()}

    @classmethod
    def from_raw(cls, raw: Any) -> "Learnt":
        """The inverse of `to_raw`. Raises KeyError or TypeError for a missing or ill-typed field."""
        return cls(*(frozenset(_texts(raw[name])) for name in ("speakers", "sha1s")))


@dataclass(frozen=True)
class TrunkInfo:
    """All that is known of a trunk."""

    shape: Shape
    words: tuple[str, ...]
    learnt: Learnt | None
    """None where nobody knows any more."""
    config_hash: str

    def to_json(self) -> str:
        """Canonical JSON."""
        learnt = self.learnt.to_raw() if self.learnt else None
        raw = {"shape": self.shape._asdict(), "words": self.words, "learnt": learnt, CONFIG_HASH: self.config_hash}
        return json.dumps({"format": FORMAT, **raw}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "TrunkInfo":
        """The inverse of `to_json`. Raises TrainingError for a missing or ill-typed field."""
        try:
            raw = json.loads(text)
            if raw["format"] != FORMAT:
                raise TrainingError(f"trunk format {raw['format']!r}; this uyan reads format {FORMAT}")
            shape, learnt = raw["shape"], raw["learnt"]
            return cls(
                Shape(*(_typed(shape[name], kind) for name, kind in Shape.__annotations__.items())),
                tuple(_texts(raw["words"])),
                Learnt.from_raw(learnt) if learnt else None,
                _typed(raw[CONFIG_HASH], str),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as reason:
            raise TrainingError(f"the trunk's description is not valid ({reason!r})") from reason


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} should be {kind.__name__}")
    return value


def _texts(values: Any) -> list[str]:
    return [_typed(value, str) for value in _typed(values, list)]


@dataclass(frozen=True)
class Trunk:
    """Weights to start from."""

    source: Path
    """The file they come from, for messages."""
    info: TrunkInfo
    tensors: dict[str, Tensor]
    """By their names in the network's `state_dict`; with the head where they are a whole network's."""
    complete: bool = True
    """Whether `info.learnt` is all that it has heard."""


def save_trunk(path: Path, network: Network, info: TrunkInfo) -> None:
    """Write a network's trunk, CMVN included, as one safetensors file, atomically."""
    tensors = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(HEAD)}
    save_tensors(path, tensors, {_INFO: info.to_json(), CONFIG_HASH: info.config_hash})


def load_trunk(path: Path) -> Trunk:
    """Read a trunk back. Raises TrainingError when it is missing, torn, too large or something else."""
    if not path.is_file():
        raise TrainingError(f"{path}: no such trunk; make one with `uyan pretrain`")
    if path.stat().st_size > MAX_TRUNK_BYTES:
        raise TrainingError(f"{path}: larger than {MAX_TRUNK_BYTES // 1024**2} MB; not a trunk of uyan")
    try:
        tensors, metadata = load_tensors(path)
        if _INFO not in metadata:
            raise TrainingError("it does not say what it learnt from")
        info = TrunkInfo.from_json(metadata[_INFO])
        return Trunk(path, info, tensors, complete=info.learnt is not None)
    except TrainingError as reason:
        raise TrainingError(f"{path}: not a trunk ({reason.__cause__ or reason}); make one with `uyan pretrain`") from (
            reason
        )


def start_from(network: Network, trunk: Trunk, wanted: Shape) -> Network:
    """Give `network`, of shape `wanted`, the trunk's weights and CMVN; the head too where the trunk has one.

    Raises ConfigError naming the field in which the two differ, TrainingError when the tensors are not the network's.
    """
    _require_shape(trunk, wanted)
    own = network.state_dict()
    names = {name for name in own if not name.startswith(HEAD)}
    strange = names.symmetric_difference(trunk.tensors) - {name for name in own if name.startswith(HEAD)}
    for name in sorted(strange):
        raise TrainingError(f"{trunk.source}: the tensor {name} is {'missing' if name in names else 'not one of uyan'}")
    for name, tensor in trunk.tensors.items():
        if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
            found, expected = (f"{t.dtype} {tuple(t.shape)}" for t in (tensor, own[name]))
            raise TrainingError(f"{trunk.source}: the tensor {name} is {found}, not {expected}")
        if not torch.isfinite(tensor).all():
            raise TrainingError(f"{trunk.source}: the tensor {name} holds numbers that are not finite")
    network.load_state_dict({**own, **trunk.tensors})
    return network


def _require_shape(trunk: Trunk, wanted: Shape) -> None:
    found = trunk.info.shape
    fields = (
        ("network.size", found.size, wanted.size),
        ("network.window_s", f"{found.window_frames * HOP_S:g}", f"{wanted.window_frames * HOP_S:g}"),
        ("frontend.mels", found.mels, wanted.mels),
        ("the front end", found.frontend[:12], wanted.frontend[:12]),
    )
    for field, there, here in fields:
        if there != here:
            mend = f"set {field} to {there}" if "." in field else "use the frontend section that it was made with"
            raise ConfigError(
                f"training.init: {trunk.source} was made with {field} {there}, this recipe has {here}; {mend}, or make "
                "another trunk with `uyan pretrain`"
            )


def guard_trunk(learnt: Learnt, members: Sequence[Member], source: Path) -> None:
    """Raise LeakageError, naming speaker and file, if what judges this run was learnt from before.

    That is a speaker, a recording, or a near-duplicate of a recording, of validation or test.
    """
    judges = [m for m in members if m.split != "train" and not m.excluded]
    copies = {m.group: m for m in members if m.content_sha1 in learnt.sha1s}
    for member in judges:
        speaker, file = member.recording.speaker_id, member.recording.file
        what = ""
        if member.recording.speaker_known and speaker in learnt.speakers:
            what = f"the speaker {speaker}, whose recording"
        elif member.content_sha1 in learnt.sha1s:
            what = f"a recording of speaker {speaker}, which"
        elif member.group in copies:
            what = f"{copies[member.group].recording.file}, of which a near-duplicate, by speaker {speaker},"
        if what:
            raise LeakageError(
                f"training.init: {source} learnt from {what} is in this run's {member.split} split: {file}. Use the "
                "split section that it was made with, or pre-train again (training.init: words)"
            )


def change_cmvn(network: Network, cmvn: Cmvn) -> None:
    """Put other corpus statistics into the network without changing its function.

    With mean m and inverse deviation i the stem sees (x − m)·i. Under m' and i' its weights W become W·i/i', which
    gives ΣW·i·(x − m'), less than before by ΣW·i·(m' − m): the norm after it expects that much less.
    """
    mean, inverse_deviation = network.mean.clone(), network.inverse_deviation.clone()
    network.set_cmvn(torch.tensor(cmvn.mean), torch.tensor(cmvn.variance))
    running_mean = cast(Tensor, network.stem_norm.running_mean)
    with torch.no_grad():
        per_mel = network.stem.weight.sum(dim=(2, 3)) * inverse_deviation.squeeze(1)
        running_mean -= per_mel @ (network.mean - mean).squeeze(1)
        network.stem.weight *= (inverse_deviation / network.inverse_deviation).unsqueeze(2)


def settle_norms(network: Network, features: Tensor) -> None:
    """Give norms that were folded away the statistics of real `features` (batch, mels, frames).

    The function stays what it was, y = s·(x − m) + b; but a norm that is trained normalises by the batch, and only with
    the statistics of its input as m and s does it then give what it gave before.
    """
    statistics: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def note(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        statistics[cast(nn.BatchNorm2d, norm)] = (x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    with torch.no_grad():
        network.eval()(features)
        for norm, hook in zip(norms, hooks, strict=True):
            hook.remove()
            mean, variance = statistics[norm]
            old_mean, old_variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
            slope = norm.weight / (old_variance + norm.eps).sqrt()
            norm.bias.add_(slope * (mean - old_mean))
            norm.weight.copy_(slope * (variance + norm.eps).sqrt())
            old_mean.copy_(mean)
            old_variance.copy_(variance)
