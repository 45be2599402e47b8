"""What was measured after the run stands on the card, and what was not is named with its command."""

from dataclasses import asdict

import pytest

from uyan.evaluation.latency import DetectorCost, Latency, PassTimes
from uyan.export.card_evidence import since

LATENCY = asdict(
    Latency(
        "x86_64, Linux",
        None,
        PassTimes(1000, 1, 0.125, 0.12, 0.25),
        DetectorCost(120.0, 0.08, 1, 0.0019, 0.0019, 0, 66.4, 70.0, ("numpy",)),
    )
)
CELL = {"cell": {"rate_hz": 8000, "snr_db": 5.0, "device": "phone"}, "samples": 200, "misses": 31, "miss_rate": 0.155}
SHIFT = {
    "miss_rate": 0.155,
    "cells": [CELL],
    "speaker_interval": {"low": 0.05, "high": 0.3},
    "speakers": 14,
    "recordings": 73,
}
INT8 = {
    "misses": {"fp32": 5, "int8": 6},
    "positives": 73,
    "miss_rate_change": 1 / 73,
    "miss_rate_change_interval": {"low": 0.0, "high": 0.04},
    "false_alarms": {"fp32": 0, "int8": 1},
    "hours": 2.0,
    "fah_change": 0.5,
    "fah_change_interval": {"low": -1.0, "high": 2.8},
    "size": 0.43,
    "window_time": 0.85,
    "pass_time": 0.55,
}


def test_nothing_measured_names_the_commands() -> None:
    (text,) = since({})
    assert text == (
        "Not measured here: cost (`uyan evaluate`), other devices (`uyan shift`), eight bits (`uyan export --int8`)."
    )


@pytest.mark.parametrize(
    ("name", "evidence", "said"),
    [
        ("latency", LATENCY, "0.120 ms on 1 thread (95 % within 0.250 ms, 1,000 passes); the detector 0.0019 s of CPU"),
        ("shift", SHIFT, "| phone | 8 kHz | 5 dB | 15.5 % (31/200) |"),
        (
            "int8",
            INT8,
            "6 of 73 missed instead of 5, +1.4 points (95 % over speakers +0.0 to +4.0); 1 false alarms in 2.00 h",
        ),
    ],
)
def test_each_measurement_has_its_section(name: str, evidence: dict[str, object], said: str) -> None:
    section, missing = since({name: evidence})
    assert said in section
    assert missing.count("`uyan") == 2


def test_with_all_of_them_nothing_is_missing() -> None:
    titles = [text.splitlines()[0] for text in since({"int8": INT8, "shift": SHIFT, "latency": LATENCY})]
    assert titles == ["## Cost", "## Other devices", "## Eight bits"]
