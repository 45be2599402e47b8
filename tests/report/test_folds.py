from pathlib import Path

import pytest

from uyan.errors import EvaluationError
from uyan.report.folds import mean_of, pooled_pictures
from uyan.report.kfold_contents import KFold
from uyan.report.reading import read_json


def test_equal_folds_leave_no_doubt_and_few_folds_much() -> None:
    assert mean_of([0.1, 0.1, 0.1]).margin == pytest.approx(0)
    assert mean_of([0.0, 0.2]).margin == pytest.approx(12.706 * 0.1, rel=1e-3)  # t(0.975; 1) times the error


def test_pooled_curves_are_drawn_from_the_tracks_beside(kfold_file: Path) -> None:
    kfold = read_json(kfold_file, KFold, "uyan kfold")
    against_fah, det = pooled_pictures(kfold, kfold_file.parent)
    assert "on 2.00 h of negatives: clean 50.0 % missed at 2.00 per hour" in against_fah.svg
    assert "12 positives, 3,600 clips of negatives" in det.caption  # 2 h in stretches of 2 s


def test_without_tracks_of_all_folds_there_are_no_curves(kfold_file: Path) -> None:
    (kfold_file.parent / "fold-0" / "tracks.npz").unlink()
    assert pooled_pictures(read_json(kfold_file, KFold, "uyan kfold"), kfold_file.parent) == []


def test_damaged_tracks_are_named(kfold_file: Path) -> None:
    (kfold_file.parent / "fold-0" / "tracks.npz").write_bytes(b"no tracks")
    with pytest.raises(EvaluationError, match=r"fold-0/tracks.npz"):
        pooled_pictures(read_json(kfold_file, KFold, "uyan kfold"), kfold_file.parent)
