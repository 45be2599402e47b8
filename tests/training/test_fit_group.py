"""Processes that train together end with what one process ends with, and go on after an interruption.

Sums over shares are added in another order than those over a whole batch, which in single precision changes the sixth
digit of the first steps, and then grows from step to step (Adam divides by gradients that are nearly nothing). So most
of this is computed in double precision, where four epochs and two rounds of mining agree to ten digits.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from test_fit import HASH, STEPS_AN_EPOCH

from uyan.pipeline.processes import run_processes
from uyan.training.checkpoint import load_tensors
from uyan.training.fit import CHECKPOINT, WEIGHTS, training_state
from uyan.training.gradient_norm import FEWEST

pytestmark = pytest.mark.slow
MEMBER = Path(__file__).with_name("fit_in_group.py")
DOUBLE = {"double": True, "rounds": 2}
SINGLE_PRECISION = {"loss": 1e-5, "val_loss": 1e-3}
"""Of the first epoch, four steps of sums of 10⁴ numbers; and of validation after them."""
LOGGED = ("loss", "val_loss", "grad_norm", "val_position_miss_rate", "val_position_false_alarm_rate", "lr", "clipped")


def group(folder: Path, count: int, **options: Any) -> int:
    """Exit code of so many processes that train in `folder`."""
    folder.mkdir(exist_ok=True)
    told: list[str] = []
    return run_processes([sys.executable, str(MEMBER), str(folder), json.dumps(options)], count, told.append)


def reports(folder: Path) -> list[dict[str, Any]]:
    """What each process has to say."""
    return [json.loads(file.read_text()) for file in sorted(folder.glob("report-*.json"))]


def assert_learnt_alike(folder: Path, alone: Path) -> None:
    """Losses, pools, averaged weights; and not a bit of difference between the processes."""
    (expected,), found = reports(alone), reports(folder)
    for report in found:
        for ours, theirs in zip(report["losses"], expected["losses"], strict=True):
            for name in LOGGED:
                assert ours[name] == pytest.approx(theirs[name], rel=1e-10, abs=1e-12)
                assert ours[name] == found[0]["losses"][report["losses"].index(ours)][name]
        assert report["weights"] == found[0]["weights"]
    for number in (1, 2):
        assert (folder / f"pool-{number}.json").read_text() == (alone / f"pool-{number}.json").read_text()
    for file in (CHECKPOINT, WEIGHTS):  # of the checkpoint: averaged weights, weights, Adam's state
        ours, theirs = (load_tensors(place / "training" / file)[0] for place in (folder, alone))
        assert ours.keys() == theirs.keys() and len(ours) > 40
        for name, tensor in ours.items():
            torch.testing.assert_close(tensor, theirs[name], rtol=1e-6, atol=1e-9)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    assert group(folder, 1, **DOUBLE) == 0
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    assert group(folder, 2, **DOUBLE) == 0
    assert len(reports(folder)) == 2
    return folder


def test_two_processes_learn_what_one_learns(two: Path, alone: Path) -> None:
    assert_learnt_alike(two, alone)


def test_three_processes_with_shares_that_are_not_as_large_do_too(tmp_path: Path, alone: Path) -> None:
    assert group(tmp_path / "three", 3, **DOUBLE) == 0
    assert_learnt_alike(tmp_path / "three", alone)


def test_with_the_focal_loss_clipped_gradients_and_variants_two_learn_what_one_learns(tmp_path: Path) -> None:
    config = {"epochs": 12, "focal_switch": "always", "focal_alpha": 0.75, "focal_gamma": 0.5}
    config |= {"clip_factor": 1.0, "clip_norm": 0.01}
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, count in ((one, 1), (two, 2)):
        assert group(folder, count, **DOUBLE, variants=2, config=config) == 0
        assert training_state(folder / "training" / CHECKPOINT, HASH).focal_reason.startswith("after epoch 4 of 12")
    (report,) = reports(one)
    clipped = [epoch["clipped"] for epoch in report["losses"]]
    assert clipped[: FEWEST // STEPS_AN_EPOCH] == [0.0] * (FEWEST // STEPS_AN_EPOCH) and sum(clipped) >= 1
    assert_learnt_alike(two, one)


def test_in_single_precision_and_from_resident_features_the_first_epoch_is_the_same(tmp_path: Path) -> None:
    for count in (1, 2):
        assert group(tmp_path / str(count), count, resident=True) == 0
    (one,), (first, second) = reports(tmp_path / "1"), reports(tmp_path / "2")
    for name, tolerance in SINGLE_PRECISION.items():
        assert first["losses"][0][name] == pytest.approx(one["losses"][0][name], rel=tolerance)
    assert first["losses"][0]["loss"] != first["losses"][1]["loss"]
    assert first["weights"] == second["weights"]


def test_stopped_and_resumed_is_the_same_to_the_bit(tmp_path: Path, two: Path) -> None:
    """In the second epoch the first one is interrupted; in the third the last one is killed, then the first ended."""
    for code, stop in ((130, {"stop": 9}), (1, {"stop": -14}), (130, {"stop": 16, "term": True})):
        assert group(tmp_path, 2, **DOUBLE, **stop) == code
        assert (tmp_path / "training" / CHECKPOINT).is_file() and not (tmp_path / "training" / WEIGHTS).exists()
        assert reports(tmp_path) == []
    assert group(tmp_path, 2, **DOUBLE) == 0
    assert [report["weights"] for report in reports(tmp_path)] == [report["weights"] for report in reports(two)]


def test_a_batch_that_is_too_small_for_them_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert group(tmp_path, 3, size=2) == 2
    assert capfd.readouterr().err == "batches.size 2 is too small for 3 processes: each needs an example\n"
