"""Training as a stage: the recipe's network on the run's material."""

import hashlib

import torch

from uyan.errors import DataError
from uyan.files import replacing
from uyan.model.network import Network, parameter_count
from uyan.pipeline.heard import Listed, write_listed
from uyan.pipeline.learning_rate import peak_learning_rate
from uyan.pipeline.loading import naming_full_gpu, resident_features
from uyan.pipeline.mine import miner
from uyan.pipeline.prepare import Material, example_maker
from uyan.pipeline.pretrain import initial_network
from uyan.pipeline.selection import validation_judge
from uyan.pipeline.trunk_file import checked_trunk
from uyan.pipeline.workspace import Workspace, file_sha256
from uyan.training.fit import WEIGHTS, FitData, FitPlan, FitWatch, batch_sampler, fit, load_weights
from uyan.training.trunk import Learnt, Trunk

COLUMNS = ("epoch", "loss", "lr", "grad norm", "EMA", "hard", "val loss", "val miss", "val area", "left")
WIDTHS = (7, 8, 9, 9, 7, 5, 8, 8, 8, 6)


@naming_full_gpu()
def train_network(run: Workspace, material: Material) -> Network:
    """Train, or resume, or load what was trained before. Raises DataError when that was on other recordings.

    All of `run.ranks` call it, with the same material.
    """
    recipe, digest, ranks = run.recipe, run.recipe.training_digest(), run.ranks
    ranks.from_first(lambda: _pin(run, material))
    if (run.training / WEIGHTS).is_file():
        network = Network(recipe.network, recipe.frontend.mels, run.window_frames)
        load_weights(network, run.training / WEIGHTS, digest)
        return network
    train, validation = example_maker(run, material, "train"), example_maker(run, material, "validation")
    positives, negatives = (len(train.sources[source]) for source in ("positive", "negative"))
    network = ranks.from_first(lambda: initial_network(run, material))
    run.tell(
        f"training on {positives} positives and {negatives} stretches of negatives; "
        f"{recipe.network.size} network, {parameter_count(network):,} parameters"
    )
    data = FitData(
        train=train,
        validation=validation,
        cmvn=material.cmvn,
        mine=miner(run, material),
        judge=validation_judge(run, material) if ranks.first else None,
        resident=resident_features(run, train, validation),
    )
    rate = ranks.from_first(lambda: peak_learning_rate(run, network, data))
    # With a pool: most of the training has one, and its batches leave the negatives their smallest share.
    config = recipe.training.resolved(len(batch_sampler(train, recipe.batches, recipe.training.seed, hard=1)))
    plan = FitPlan(recipe.batches, config, rate, recipe.mining.rounds, digest, run.training, ranks)
    torch.manual_seed(recipe.training.seed)
    return fit(network, data, plan, FitWatch(run.progress, run.tell, _EpochTable(run, config.epoch_count)))


class _EpochTable:
    """A line an epoch, under a heading."""

    def __init__(self, run: Workspace, epochs: int) -> None:
        self._run = run
        self._epochs = epochs
        self._headed = False

    def __call__(self, epoch: int, values: dict[str, float]) -> None:
        if not self._headed:
            self._run.tell("  ".join(name.rjust(width) for name, width in zip(COLUMNS, WIDTHS, strict=True)))
            self._headed = True
        minutes, seconds = divmod(round(values["eta_s"]), 60)
        cells = (
            f"{epoch + 1}/{self._epochs}",
            f"{values['loss']:.4f}",
            f"{values['lr']:.2e}",
            f"{values['grad_norm']:.3f}",
            f"{values['ema_decay']:.4f}",
            f"{values['hard_share']:.0%}",
            f"{values['val_loss']:.4f}",
            f"{values['val_miss_rate']:.1%}",
            f"{values['val_area']:.3f}",
            f"{minutes}:{seconds:02d}",
        )
        self._run.tell("  ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True)))


def _pin(run: Workspace, material: Material) -> None:
    pin_recordings(run, material, checked_trunk(run, material.members) if run.start_file else None)


def pin_recordings(run: Workspace, material: Material, start: Trunk | None) -> None:
    """Refuse to go on with other recordings; before the first step, write what the start had heard.

    Weights know nothing of speakers: with another split, one they have heard could stand in the test split. Raises
    DataError when what they depend on is not what it was.
    """
    digest, pinned = _recordings_digest(run, material), run.training / "recordings.sha256"
    if pinned.is_file() and pinned.read_text(encoding="utf-8") != digest:
        raise DataError(
            f"{run.out} was trained on other recordings than the manifests list now, or started from another file; "
            f"choose another --out, or delete {pinned.parent} to train again"
        )
    if not pinned.is_file():  # nothing was learnt here yet, whatever a training that was deleted had heard
        write_listed(run.out, {"start": Listed(start.info.learnt or Learnt(), start.complete)} if start else {})
    with replacing(pinned) as partial:
        partial.write_text(digest, encoding="utf-8")


def _recordings_digest(run: Workspace, material: Material) -> str:
    """sha256 over all that the weights depend on besides the recipe, 64 hex digits."""
    learnt = [
        (m.split, m.recording.kind, m.recording.label, m.content_sha1, m.recording.said_s)
        for m in material.members
        if m.active
    ]
    started_from = file_sha256(run.start_file) if run.start_file else ""
    mined = tuple(file_sha256(manifest) for manifest in run.mined_manifests)
    pinned = [row for row in learnt if row[0] != "test"], material.variants.digest(), started_from, *mined
    return hashlib.sha256(repr(pinned).encode()).hexdigest()
