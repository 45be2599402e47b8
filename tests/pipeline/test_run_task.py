"""A run is over with all of its files, of this very recipe, its sources and this uyan alone."""

from pathlib import Path

import pytest
from paper_runs import by_another_uyan, leave_files, task

from uyan.errors import DataError
from uyan.pipeline.run_task import BUNDLE, METRICS, finished
from uyan.pipeline.validation import VALIDATION
from uyan.training.fit import WEIGHTS


def test_a_run_is_finished_with_its_files_and_this_recipe_alone(tmp_path: Path) -> None:
    done = task(tmp_path, "a")
    assert finished(done) is None
    leave_files(done)
    found = finished(done)
    assert found and found["name"] == "a"
    workers = {"batches": {"workers": 0}, "cache": {"max_ram_gb": 1.0}}
    assert finished(task(tmp_path, "a", **workers)) is not None  # changes no figure
    assert finished(task(tmp_path, "a", training={"epochs": 3})) is None
    (tmp_path / "corpus/manifest.csv").write_text("path\n", encoding="utf-8")
    assert finished(done) is None  # the recordings are others now
    (tmp_path / "corpus/manifest.csv").write_text("", encoding="utf-8")
    assert finished(done) is not None
    for damaged in ('{"config', "[]"):
        (done.out / METRICS).write_text(damaged, encoding="utf-8")
        assert finished(done) is None
    leave_files(done)
    (done.out / BUNDLE).unlink()
    assert finished(done) is None


def test_a_run_is_finished_with_what_it_mined_and_started_from_alone(tmp_path: Path) -> None:
    sources = tmp_path / "radio.csv", tmp_path / "t.safetensors"
    for source in sources:
        source.write_bytes(b"before")
    done = task(tmp_path, "a", mining={"manifests": ["radio.csv"]}, training={"init": "t.safetensors"})
    leave_files(done)
    assert finished(done) is not None
    for source in sources:
        source.write_bytes(b"after")
        assert finished(done) is None
        source.write_bytes(b"before")
    assert finished(done) is not None
    sources[0].unlink()
    with pytest.raises(DataError, match=r"radio\.csv: cannot be read"):
        finished(done)


def test_a_run_that_validation_judges_is_finished_without_a_bundle(tmp_path: Path) -> None:
    trial = task(tmp_path, "a")._replace(judged_on="validation")
    leave_files(trial)  # judged on the test, of which a trial knows nothing
    assert finished(trial) is None
    (trial.out / "training").mkdir()
    (trial.out / "training" / WEIGHTS).touch()
    (trial.out / METRICS).rename(trial.out / VALIDATION)
    found = finished(trial)
    assert found and found["name"] == "a" and finished(trial._replace(judged_on="test")) is None


def test_a_run_of_another_uyan_is_not_finished(tmp_path: Path) -> None:
    done = task(tmp_path, "a")
    by_another_uyan(done)
    assert finished(done) is None
