"""Calibration as a stage: temperature and threshold on the validation split, through the shipping detector."""

from dataclasses import dataclass, replace

import numpy as np

from uyan import __version__
from uyan.bundle import Bundle, BundleInfo
from uyan.data.examples import ExampleMaker
from uyan.data.placing import IGNORED
from uyan.data.sampler import BalancedBatchSampler
from uyan.data.split import leakage_guard
from uyan.evaluation.calibration import OperatingPoint, choose_operating_point, fit_temperature
from uyan.evaluation.figures import event_curve_figure
from uyan.evaluation.scores import event_curve, score_streams
from uyan.evaluation.streams import negative_streams, positive_streams
from uyan.export.onnx import check_parity, make_bundle, network_to_onnx
from uyan.model.network import Network
from uyan.pipeline.prepare import Material, data_summary, example_maker
from uyan.pipeline.workspace import Workspace


@dataclass(frozen=True)
class Calibrated:
    """A bundle at its operating point."""

    model: bytes
    """The bare ONNX graph."""
    bundle: Bundle
    point: OperatingPoint
    """Chosen and measured on validation."""
    tta_point: OperatingPoint
    """The same for scores averaged over neighbouring positions."""


def calibrate(run: Workspace, material: Material, network: Network) -> Calibrated:
    """Fit the temperature and choose the threshold on the validation split (MISSION 3)."""
    leakage_guard(material.members)
    model = network_to_onnx(network, run.recipe.frontend.mels)
    info = BundleInfo(
        label=run.recipe.keyword,
        frontend=run.recipe.frontend,
        cmvn=material.cmvn,
        window_frames=run.window_frames,
        temperature=1.0,
        threshold=1.0,
        tta_threshold=1.0,
        detector=run.recipe.detector,
        config_hash=run.recipe.digest(),
        version=__version__,
        data=data_summary(run, material.members),
    )
    path = run.out / "bundle.onnx"
    draft = make_bundle(model, info, path)
    check_parity(network, draft)
    temperature = _temperature(draft, example_maker(run, material, "validation"), run.recipe.batches.size)
    tempered = make_bundle(model, replace(info, temperature=temperature), path)
    point, tta_point = (_operating_point(run, material, tempered, tta) for tta in (False, True))
    final = replace(info, temperature=temperature, threshold=point.threshold, tta_threshold=tta_point.threshold)
    return Calibrated(model, make_bundle(model, final, path), point, tta_point)


def _operating_point(run: Workspace, material: Material, bundle: Bundle, tta: bool) -> OperatingPoint:
    """Of the validation split, for plain scores or averaged ones."""
    keyword, name = run.recipe.keyword, "validation{}, averaged" if tta else "validation{}"
    positives, negatives = material.positives("validation", keyword), material.negatives("validation", keyword)
    spoken, other = positive_streams(positives, lead_s=run.lead_s), negative_streams(negatives, lead_s=run.lead_s)
    curve = event_curve(
        score_streams(name.format(" positives"), bundle, spoken, len(positives), run.progress, tta),
        score_streams(name.format(" negatives"), bundle, other, len(negatives), run.progress, tta),
        run.recipe.detector,
    )
    point = choose_operating_point(curve, run.recipe.calibration.target_fah)
    if point.note and not (tta and point.met):  # what the hours cannot show has been said of the plain scores
        run.warn(f"operating point{', averaged scores' * tta} (validation): {point.note}")
    if not tta:
        event_curve_figure(curve, point, run.out / "operating_point.png")
    return point


def _temperature(bundle: Bundle, maker: ExampleMaker, batch_size: int) -> float:
    """Over the labelled window positions of one pass through the validation examples."""
    sampler = BalancedBatchSampler([len(items) for items in maker.sources.values()], batch_size, (1, 1, 0))
    logits, labels = [], []
    for draws in sampler:
        examples = maker.make(draws)
        for features, wanted in zip(examples.features, examples.labels, strict=True):
            judged = wanted != IGNORED
            logits.append(bundle.logits(features)[:, judged].T)
            labels.append(wanted[judged])
    return fit_temperature(np.concatenate(logits), np.concatenate(labels))
