from pathlib import Path

import pytest

from uyan.errors import EvaluationError
from uyan.report.training_log import read_log


def write(run: Path, version: str, text: str) -> None:
    (run / "training/logs" / version).mkdir(parents=True)
    (run / "training/logs" / version / "metrics.csv").write_text(text, encoding="utf-8")


def test_stretches_are_joined_in_order_and_the_last_value_of_an_epoch_counts(tmp_path: Path) -> None:
    write(tmp_path, "version_2", "epoch,loss,val_loss\n1,,0.2\n1,0.3,\n")
    write(tmp_path, "version_10", "epoch,loss\n1,0.1\n2,nan\n")
    write(tmp_path, "version_0", "epoch,loss,lr\n0,0.9,1\n")
    assert read_log(tmp_path) == {"loss": {1: 0.9, 2: 0.1}, "val_loss": {2: 0.2}}


def test_a_run_without_a_log_has_none(tmp_path: Path) -> None:
    assert read_log(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "step,loss\n1,2\n", "epoch,loss\nzero,1\n", "epoch,loss\n1\n"])
def test_a_damaged_log_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path, "version_0", text)
    with pytest.raises(EvaluationError, match=r"version_0/metrics.csv: .* again"):
        read_log(tmp_path)
