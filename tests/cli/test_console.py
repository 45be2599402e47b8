"""What is printed must be readable wherever it goes."""

import pytest

from uyan.cli.console import print_table


def test_a_narrow_window_costs_no_figure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    columns = [f"column {number}" for number in range(12)]
    print_table("title", columns, [[f"value-{number}-{'x' * 10}" for number in range(12)]])
    shown = capsys.readouterr().out
    assert all(column in shown for column in columns)
    assert all(f"value-{number}-{'x' * 10}" in shown for number in range(12))
