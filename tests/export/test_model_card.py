"""The card says what was measured, with denominators, and hides nothing."""

import json
from dataclasses import replace
from typing import Any

from uyan.bundle import BundleInfo
from uyan.decision import DetectorConfig
from uyan.export.model_card import model_card
from uyan.frontend import Cmvn, FrontendConfig

FRONTEND = FrontendConfig()
INFO = BundleInfo(
    label="günaydın",
    frontend=FRONTEND,
    cmvn=Cmvn(123_456, (0.0,) * 64, (1.0,) * 64, FRONTEND.digest()),
    window_frames=120,
    temperature=1.23456,
    threshold=0.7525,
    tta_threshold=0.74,
    detector=DetectorConfig(),
    config_hash="0123456789abcdef" * 4,
    version="9.8.7",
)


def condition(misses: int, positives: int, speakers: dict[str, list[int]]) -> dict[str, Any]:
    return {
        "misses": misses,
        "positives": positives,
        "speakers": len(speakers),
        "miss_rate": misses / positives,
        "speaker_interval": {"low": 0.011, "high": 0.222},
        "miss_interval": {"low": 0.02, "high": 0.2},
        "at_fah": {"0.5": {"miss_rate": 0.125, "false_alarms": 2, "hours": 6.5, "met": True, "supported": True}},
        "per_speaker": speakers,
    }


def make_metrics(**changes: Any) -> dict[str, Any]:
    metrics = {
        "warnings": [],
        "calibration": {"operating_point": {"threshold": 0.7525, "target_fah": 0.5, "false_alarms": 3, "hours": 7.25}},
        "false_alarms": {"events": 2, "hours": 6.5, "fah": 2 / 6.5, "fah_interval": {"low": 0.04, "high": 1.11}},
        "conditions": {
            "clean": condition(3, 40, {"ada": [0, 20], "can": [1, 5], "eda": [2, 15]}),
            "5 dB SNR": condition(8, 40, {"ada": [8, 20], "can": [0, 5], "eda": [0, 15]}),
        },
        "near_words": None,
        "tta": {
            "threshold": 0.74,
            "claims": {"misses, clean": "2 of 40 missed: 5.0 %", "false alarms": "1 alarm in 6.50 h"},
        },
        "conditions_note": "alarms are counted without it",
        "clip_level": {
            "what": "highest vote of each positive",
            "equal_error_rate": 0.0345,
            "fpr_at_tpr_95": 0.0512,
            "partial_auc_10": 0.8765,
        },
        "training": {
            "best_epoch": 5,
            "epochs": 6,
            "loss_changed": None,
            "learning_rate": {"suggestion": 5e-4, "verdict": "0.001 is sane", "note": ""},
            "hard_negatives": None,
        },
        "data": {
            "splits": {
                "train": split_facts(200, 20, 17.456, 99, synthetic=150),
                "validation": split_facts(38, 5, 7.25, 31),
                "test": split_facts(40, 3, 6.5, 30),
            },
            "unknown_speakers": 4,
            "repeated_takes": 7,
            "quarantined": 2,
            "quarantined_first": [["a/torn.flac", "cannot be decoded"], ["b.wav", "every sample is zero"]],
            "licenses": ["CC0-1.0", "CC-BY-4.0"],
            "restricted": "",
            "synthetic_engines": ["espeak", "kokoro"],
            "synthetic_share": 0.5,
        },
        **changes,
    }
    roundtrip: dict[str, Any] = json.loads(json.dumps(metrics))
    return roundtrip


def split_facts(positives: int, speakers: int, hours: float, others: int, synthetic: int = 0) -> dict[str, Any]:
    return {
        "positives": positives,
        "positive_speakers": speakers,
        "synthetic_positives": synthetic,
        "synthetic_speakers": synthetic // 10,
        "negative_hours": hours,
        "synthetic_hours": 0.5 if synthetic else 0.0,
        "negative_speakers": others,
    }


def row(card: str, first: str) -> list[str]:
    """The cells of the table row that begins with `first`."""
    (line,) = (line for line in card.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_what_almost_is_the_word_is_listed_by_category() -> None:
    assert "almost" not in model_card(INFO, make_metrics())
    rate = {"accepted": 2, "recordings": 180, "speakers": 9, "interval": {"low": 0.001, "high": 0.04}}
    near = {"claim": "2 of 180 accepted", "by_category": {"half | the phrase": rate}}
    card = model_card(INFO, make_metrics(near_words=near))
    assert "## What almost is the word\n\n2 of 180 accepted.\n" in card
    assert "| half \\| the phrase | 2 of 180 | 0.1% – 4.0% |" in card


def test_synthetic_judges_and_forbidden_uses_come_first() -> None:
    metrics = make_metrics()
    assert "synthetic ones" not in model_card(INFO, metrics) and "commercial" not in model_card(INFO, metrics)
    metrics["conditions"]["clean"]["per_speaker"] = {"tts:piper:joe": [1, 4], "tts:piper:amy": [0, 4]}
    metrics["data"]["restricted"] = "8 of the 20 recordings behind it forbid that (CC-BY-NC-4.0)"
    head = [line for line in model_card(INFO, metrics).split("---\n", 2)[2].splitlines() if line]
    assert (
        head[1] == "**No real voice has been heard: synthetic ones spoke all 8 recordings of the keyword that judge.**"
    )
    assert head[2].startswith("**Not for commercial use: 8 of the 20 recordings")


def test_what_and_from_what() -> None:
    card = model_card(INFO, make_metrics())
    assert "\n# Wake word “günaydın”\n" in card
    assert "uyan 9.8.7, configuration `0123456789abcdef`" in card
    assert row(card, "train")[1:] == ["200", "20", "150 / 15", "17.46", "0.50", "99"]
    assert row(card, "test")[1:] == ["40", "3", "0 / 0", "6.50", "0.00", "30"]
    assert "Recordings without a speaker: 4. Repeated takes, counted once: 7." in card
    assert "CC0-1.0; CC-BY-4.0" in card
    assert "Recordings that could not be used: 2." in card
    assert "- not used: a/torn.flac: cannot be decoded" in card
    assert card.endswith("\n") and not card.endswith("\n\n")


def test_every_condition_has_its_denominators() -> None:
    card = model_card(INFO, make_metrics())
    assert row(card, "clean")[1:] == ["7.5%", "3 / 40 / 3", "1.1% – 22.2%", "12.5% (2 in 6.50 h)"]
    assert row(card, "5 dB SNR")[1:3] == ["20.0%", "8 / 40 / 3"]


def test_the_threshold_and_what_it_was_chosen_for() -> None:
    card = model_card(INFO, make_metrics())
    assert "Threshold 0.7525, chosen on the validation split for 0.5 false alarms per hour (3 in 7.25 h there)" in card
    assert "**2 alarms in 6.50 h: 0.31 per hour (95 % 0.04 – 1.11)**" in card


def test_clip_level_figures_are_labelled_as_such() -> None:
    card = model_card(INFO, make_metrics())
    assert "Clip level (highest vote of each positive): EER 3.45%" in card
    assert "5.12%" in card and "0.8765" in card


def test_voices_that_are_missed_most_come_first() -> None:
    card = model_card(INFO, make_metrics())
    order = [card.index(f"| {speaker} |") for speaker in ("can", "eda", "ada")]
    assert order == sorted(order)
    assert row(card, "can")[1:] == ["1", "5"]


def test_every_warning_is_on_the_card_near_the_top() -> None:
    warnings = ["only 12 recordings of the keyword", "no noise in the test split"]
    card = model_card(INFO, make_metrics(warnings=warnings))
    for warning in warnings:
        assert 0 < card.index(f"> **Note:** {warning}") < card.index("## ")
    assert "Note" not in model_card(INFO, make_metrics())


def test_the_detector_s_settings() -> None:
    info = replace(INFO, detector=DetectorConfig(hop_s=0.2, votes=2, ballots=4, hysteresis=0.25, lockout_s=3.0))
    card = model_card(info, make_metrics())
    for text in (
        "window 1.20 s", "a score every 0.2 s", "2 of 4 votes", "hysteresis 0.25", "lockout 3 s", "temperature 1.235",
        "123,456 training frames", FRONTEND.digest(), "64-mel",
    ):  # fmt: skip
        assert text in card


def test_the_front_end_is_the_bundle_s_own() -> None:
    narrow = FrontendConfig(mels=40)
    info = replace(INFO, frontend=narrow, cmvn=Cmvn(10, (0.0,) * 40, (1.0,) * 40, narrow.digest()))
    card = model_card(info, make_metrics())
    assert f"40-mel log-mel front end `{narrow.digest()}`" in card
    assert "64-mel" not in card


def test_a_name_with_a_bar_does_not_break_the_table() -> None:
    card = model_card(INFO, make_metrics(conditions={"clean": condition(1, 20, {"a|b": [1, 20]})}))
    assert "| a\\|b | 1 | 20 |" in card


def test_no_licence_is_said() -> None:
    metrics = make_metrics()
    metrics["data"]["licenses"] = []
    assert "Licences of the recordings: not given." in model_card(INFO, metrics)


def test_machines_that_spoke_are_named_and_how_much() -> None:
    metrics = make_metrics()
    assert "Synthetic voices in training: espeak, kokoro; `data.synthetic_share` 0.5." in model_card(INFO, metrics)
    metrics["data"]["synthetic_share"] = None
    assert "`data.synthetic_share` null." in model_card(INFO, metrics)
    metrics["data"]["synthetic_engines"] = []
    assert "Synthetic voices in training" not in model_card(INFO, metrics)


def test_how_it_was_trained() -> None:
    plain = model_card(INFO, make_metrics())
    assert "Averaged weights of epoch 5 of 6" in plain and "0.001 is sane" in plain
    assert "Hard negatives" not in plain and "focal" not in plain
    rounds = [{"windows_found": found, "hours_scanned": 8.96, "hours_of_variants": 4.0} for found in (15005, 1234)]
    mined = {"windows": 4000, "file_count": 321, "rounds": rounds}
    training = {**make_metrics()["training"], "hard_negatives": mined, "loss_changed": "after epoch 3 of 6, why"}
    card = model_card(INFO, make_metrics(training=training))
    assert "4,000 windows of 321 files, 2 rounds over 9.0 h and 4.0 h of variants" in card
    assert "15,005, 1,234." in card
    once = {**training, "hard_negatives": {**mined, "rounds": rounds[:1]}}
    assert "321 files, 1 round over" in model_card(INFO, make_metrics(training=once))
    assert "focal loss: after epoch 3 of 6, why." in card
