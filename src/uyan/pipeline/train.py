"""Training as a stage: the recipe's network on the run's material."""

import hashlib

import torch

from uyan.errors import DataError
from uyan.files import replacing
from uyan.model.network import Network, parameter_count
from uyan.pipeline.prepare import Material, example_maker
from uyan.pipeline.workspace import Workspace
from uyan.training.fit import FitData, fit


def train_network(run: Workspace, material: Material) -> Network:
    """Train, or resume, or load what was trained before. Raises DataError when that was on other recordings."""
    recipe = run.recipe
    _pin_recordings(run, material)
    torch.manual_seed(recipe.training.seed)
    network = Network(recipe.network, recipe.frontend.mels, run.window_frames)
    data = FitData(
        train=example_maker(run, material, "train"),
        validation=example_maker(run, material, "validation"),
        cmvn=material.cmvn,
    )
    positives, negatives = (len(data.train.sources[source]) for source in ("positive", "negative"))
    run.tell(
        f"training on {positives} positives and {negatives} stretches of negatives; "
        f"{recipe.network.size} network, {parameter_count(network):,} parameters"
    )

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        run.tell(
            f"epoch {epoch + 1:3d}/{recipe.training.epochs}  loss {values['loss']:.4f}  "
            f"validation loss {values['val_loss']:.4f}  window miss rate {values['val_position_miss_rate']:.3f}  "
            f"window false-alarm rate {values['val_position_false_alarm_rate']:.5f}"
        )

    digest = recipe.training_digest()
    return fit(network, data, recipe.batches, recipe.training, digest, run.training, run.progress, on_epoch)


def _pin_recordings(run: Workspace, material: Material) -> None:
    """Weights know nothing of speakers: with another split, one they have heard could stand in the test split."""
    learnt = [(m.split, m.recording.kind, m.recording.label, m.content_sha1) for m in material.members if m.active]
    digest = hashlib.sha256(repr([row for row in learnt if row[0] != "test"]).encode()).hexdigest()
    pinned = run.training / "recordings.sha256"
    if pinned.is_file() and pinned.read_text(encoding="utf-8") != digest:
        raise DataError(
            f"{run.out} was trained on other recordings than the manifests list now; choose another --out, or delete "
            f"{pinned.parent} to train again"
        )
    with replacing(pinned) as partial:
        partial.write_text(digest, encoding="utf-8")
