"""What a network starts from: nothing, the other words of the training split, a trunk file, or a bundle."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from uyan.bundle import load
from uyan.data.examples import ExampleMaker
from uyan.data.items import Positive
from uyan.data.locate import locate_word
from uyan.data.member import Member, Split
from uyan.data.split import leakage_guard
from uyan.errors import DataError
from uyan.export.onnx import check_parity
from uyan.model.network import Network
from uyan.pipeline.prepare import Material, check_recordings, make_features, split_recordings, stretches
from uyan.pipeline.trunk_file import BUNDLE_SUFFIX, checked_trunk
from uyan.pipeline.workspace import Workspace
from uyan.training.config import STARTS
from uyan.training.pretrain import WordExamples, balanced_draws, pretrain
from uyan.training.trunk import (
    Learnt,
    Shape,
    TrunkInfo,
    change_cmvn,
    settle_norms,
    start_from,
)

TRUNK = "trunk.safetensors"
LEAST_WORDS = 2
AUTO_WORDS = 4
"""Words from which on `auto` learns them first: so many tell a voice's sounds apart, fewer are learnt by heart."""
SETTLING_EXAMPLES = 384
"""Crops that a bundle's norms take their statistics from."""


def initial_network(run: Workspace, material: Material) -> Network:
    """The recipe's network as `training.init` says, with this run's CMVN.

    Raises ConfigError when the file is missing or of another shape, LeakageError when it has heard validation or test.
    """
    recipe = run.recipe
    torch.manual_seed(recipe.training.seed)
    network = Network(recipe.network, recipe.frontend.mels, run.window_frames)
    network.set_cmvn(torch.tensor(material.cmvn.mean), torch.tensor(material.cmvn.variance))
    init = recipe.training.init
    if init == "words" or (init == "auto" and len(_words(run, material)) >= AUTO_WORDS):
        out = run.training / "pretrain" / TRUNK
        _learn_words(run, material, network, out)
        run.tell(f"starting from the trunk that learnt them, {out}")
    elif init not in STARTS:
        _start_from_file(run, material, network)
    change_cmvn(network, material.cmvn)
    return network


def pretrain_run(run: Workspace, material: Material) -> Path:
    """Learn the words of the recipe's training split; returns the trunk file, in the run's folder."""
    recipe, out = run.recipe, run.out / TRUNK
    torch.manual_seed(recipe.training.seed)
    _learn_words(run, material, Network(recipe.network, recipe.frontend.mels, run.window_frames), out)
    return out


def make_trunk(run: Workspace) -> Path:
    """`pretrain_run` from the manifests on: check, split, features, words."""
    run.open()
    return pretrain_run(run, make_features(run, split_recordings(run, check_recordings(run))))


@dataclass(frozen=True)
class _Lesson:
    """What of a split the words are learnt from, or judged on."""

    words: list[Member]
    background: list[Member]
    noise: list[Member]

    @property
    def members(self) -> list[Member]:
        return self.words + self.background


def _learn_words(run: Workspace, material: Material, network: Network, out: Path) -> None:
    recipe = run.recipe
    leakage_guard(material.members)
    classes = _classes(run, material)
    lesson = _lesson(run, material, "train", classes)
    learnt = _learnt(lesson.members)
    info = TrunkInfo(_shape(run), classes, learnt, recipe.training_digest())
    run.tell(
        f"learning to tell {len(classes)} words apart ({', '.join(classes)}): {len(lesson.words)} recordings, "
        f"{len({m.recording.speaker_id for m in lesson.words})} speakers"
    )
    train = _examples(run, material, "train", lesson, classes)
    judged = _lesson(run, material, "validation", classes)
    validation = _examples(run, material, "validation", judged, classes) if judged.words else None
    pretrain(
        network,
        train,
        validation,
        recipe.pretrain,
        recipe.batches.size,
        recipe.training.seed,
        material.cmvn,
        info,
        out,
        run.progress,
        run.tell,
    )


def _words(run: Workspace, material: Material) -> tuple[str, ...]:
    """Words with enough recordings in the training split, in alphabetical order."""
    counts = Counter(m.recording.label for m in _keyword_recordings(run, material, "train"))
    return tuple(sorted(word for word, count in counts.items() if count >= run.recipe.pretrain.min_recordings))


def _classes(run: Workspace, material: Material) -> tuple[str, ...]:
    """The words to tell apart. Raises DataError when there are too few."""
    least, classes = run.recipe.pretrain.min_recordings, _words(run, material)
    if len(classes) < LEAST_WORDS:
        raise DataError(
            f"{len(classes)} word(s) with {least} recordings or more in the training split; {LEAST_WORDS} at least are "
            "needed to learn to tell words apart. Set training.init to scratch, add recordings of other words (kind "
            "keyword), or lower pretrain.min_recordings"
        )
    return classes


def _keyword_recordings(run: Workspace, material: Material, split: Split) -> list[Member]:
    keyword = run.recipe.keyword
    spoken = [*material.positives(split, keyword), *material.negatives(split, keyword)]
    return [m for m in spoken if m.recording.kind == "keyword"]


def _lesson(run: Workspace, material: Material, split: Split, classes: Sequence[str]) -> _Lesson:
    others = material.negatives(split, run.recipe.keyword)
    return _Lesson(
        [m for m in _keyword_recordings(run, material, split) if m.recording.label in classes],
        [m for m in others if m.recording.kind != "keyword"],
        material.noise(split) if split == "train" else [],
    )


def _examples(
    run: Workspace, material: Material, split: Split, lesson: _Lesson, classes: Sequence[str]
) -> WordExamples:
    positives = []
    for number, member in enumerate(lesson.words, 1):
        sha1 = member.content_sha1
        span = material.words.get(sha1) or locate_word(material.cache.get(sha1))
        positives.append(Positive(sha1, span, material.variant_count(member, run.recipe.keyword)))
        run.progress(f"{split} words", number, len(lesson.words))
    maker = ExampleMaker(
        material.cache,
        positives,
        stretches(run, material, lesson.background),
        stretches(run, material, lesson.noise),
        run.recipe.batches,
        run.recipe.augment if split == "train" else None,
        run.window_frames,
        variants=material.variants,
    )
    return WordExamples(maker, [m.recording.label for m in lesson.words], classes)


def _shape(run: Workspace) -> Shape:
    recipe = run.recipe
    return Shape(recipe.network.size, run.window_frames, recipe.frontend.mels, recipe.frontend.digest())


def _learnt(members: Sequence[Member]) -> Learnt:
    speakers = frozenset(m.recording.speaker_id for m in members if m.recording.speaker_known)
    return Learnt(speakers, frozenset(m.content_sha1 for m in members))


def _start_from_file(run: Workspace, material: Material, network: Network) -> None:
    trunk = checked_trunk(run, material.members)
    start_from(network, trunk, _shape(run))
    if trunk.source.suffix == BUNDLE_SUFFIX:
        check_parity(network, load(trunk.source))
        settle_norms(network, _some_features(run, material))
    run.tell(f"starting from {trunk.source}, which learnt {', '.join(trunk.info.words)}")


def _some_features(run: Workspace, material: Material) -> torch.Tensor:
    """Training crops as they will come, half of them of the keyword, shape (examples, mels, frames)."""
    keyword = run.recipe.keyword
    words = material.positives("train", keyword)
    lesson = _Lesson(words, material.negatives("train", keyword), material.noise("train"))
    examples = _examples(run, material, "train", lesson, (keyword,))
    draws = next(balanced_draws(examples.items, 1, SETTLING_EXAMPLES, run.recipe.training.seed, 0))
    return examples.make(draws)[0]
