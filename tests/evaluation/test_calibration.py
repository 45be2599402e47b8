import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.errors import EvaluationError
from uyan.evaluation.calibration import (
    EXACT_SCORES,
    TEMPERATURE_RANGE,
    choose_operating_point,
    fit_temperature,
    threshold_grid,
)
from uyan.evaluation.intervals import clopper_pearson, poisson_rate
from uyan.evaluation.metrics import EventCurve


@settings(max_examples=15, deadline=None)
@given(planted=st.floats(0.2, 8.0), seed=st.integers(0, 999))
def test_a_planted_temperature_is_found(planted: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (20_000, 2))
    chance = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    labels = (rng.random(20_000) < chance).astype(np.int64)
    assert fit_temperature(logits * planted, labels) == pytest.approx(planted, rel=0.1)


def test_temperature_worked_on_paper() -> None:
    # Nine in ten right at a margin of 3: sigmoid(3 / T) = 0.9 gives T = 3 / ln 9.
    logits = np.array([[0.0, 3.0]] * 10, np.float32)
    labels = np.array([1] * 9 + [0])
    assert fit_temperature(logits, labels) == pytest.approx(3 / np.log(9), rel=1e-5)


def test_temperature_does_not_depend_on_a_common_shift() -> None:
    rng = np.random.default_rng(42)
    logits, labels = rng.normal(0, 2, (200, 2)), rng.integers(0, 2, 200)
    assert fit_temperature(logits + 300.0, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-5)


def test_temperature_stays_within_its_range() -> None:
    backwards = np.array([[0.0, -5.0], [0.0, 5.0]])  # always wrong: the NLL falls as T grows
    assert fit_temperature(backwards, np.array([1, 0])) == pytest.approx(TEMPERATURE_RANGE[1], rel=1e-3)


def test_data_without_a_single_error_cannot_say_how_sure_to_be() -> None:
    assert fit_temperature(np.array([[0.0, 5.0], [3.0, 0.0]]), np.array([1, 0])) == 1.0


def test_temperature_refuses_what_it_cannot_be_fitted_to() -> None:
    logits = np.array([[0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(EvaluationError, match=r"labels \[1\]"):
        fit_temperature(logits, np.array([1, 1]))
    with pytest.raises(EvaluationError, match="NaN or Inf"):
        fit_temperature(np.array([[0.0, np.inf], [1.0, 0.0]]), np.array([1, 0]))
    with pytest.raises(EvaluationError, match=r"\(3,\)"):
        fit_temperature(logits, np.array([1, 0, 0]))


def test_grid_without_scores_is_the_mission_grid() -> None:
    assert threshold_grid(np.zeros(0)).tolist() == [step / 400 for step in range(401)]


@given(scores=st.lists(st.floats(0, 1, width=32), max_size=30), single=st.booleans())
def test_grid_parts_every_score_from_all_others(scores: list[float], single: bool) -> None:
    observed = np.array(scores, np.float32 if single else np.float64)
    grid = threshold_grid(observed)
    assert (np.diff(grid) > 0).all()
    assert (grid[0], grid[-1]) == (0.0, 1.0)
    # Also as the detector may compare: in the scores' own type.
    native = grid.astype(observed.dtype)
    for score in observed[observed < 1]:
        assert score in grid
        just_above = native[native > score].min()
        assert not ((observed > score) & (observed < just_above)).any()
        assert just_above <= np.nextafter(score, observed.dtype.type(1))


def test_a_large_grid_stays_exact_at_the_top() -> None:
    observed = np.random.default_rng(42).random(50_000)
    grid = threshold_grid(observed)
    assert np.isin(np.sort(observed)[-EXACT_SCORES:], grid).all()
    assert grid.size <= 401 + 2 * EXACT_SCORES
    assert np.isin(np.arange(401) / 400, grid).all()


def test_grid_refuses_logits() -> None:
    with pytest.raises(EvaluationError, match="not logits"):
        threshold_grid(np.array([0.3, 4.2]))
    with pytest.raises(EvaluationError, match="not logits"):
        threshold_grid(np.array([0.3, np.nan]))


def _curve(detected: list[int], alarms: list[int], hours: float, positives: int = 10) -> EventCurve:
    thresholds = np.linspace(0.5, 0.9, len(detected))
    return EventCurve(thresholds, np.array(detected), np.array(alarms), positives, hours)


def test_operating_point_worked_on_paper() -> None:
    # FAH over 10 h: 2, 0.5, 0.6, 0.3, 0. For 0.5 the second fails, since the third above it has 0.6.
    point = choose_operating_point(_curve([10, 10, 9, 8, 5], [20, 5, 6, 3, 0], 10.0), target_fah=0.5)
    assert point.threshold == pytest.approx(0.8)
    assert (point.misses, point.positives, point.miss_rate) == (2, 10, 0.2)
    assert (point.false_alarms, point.hours, point.fah) == (3, 10.0, 0.3)
    assert point.miss_interval == clopper_pearson(2, 10)
    assert point.fah_interval == poisson_rate(3, 10.0)
    assert (point.met, point.supported) == (True, True)
    assert point.note == "3 false alarms in 10.0 h: the true rate may be as high as 0.88 per hour."


def test_there_is_nothing_to_add_when_the_interval_keeps_to_the_target_as_well() -> None:
    point = choose_operating_point(_curve([10], [1], 100.0), target_fah=0.5)
    assert (point.met, point.supported, point.note) == (True, True, "")


def test_an_unmet_target_is_said_and_never_papered_over() -> None:
    point = choose_operating_point(_curve([10, 9, 7], [90, 40, 21], 10.0), target_fah=0.5)
    assert (point.met, point.threshold, point.fah, point.misses) == (False, 0.9, 2.1, 3)
    assert point.note.startswith(
        "No threshold keeps to 0.5 false alarms per hour: the strictest, 0.9000, has 21 false alarms in 10.0 h"
    )


def test_hours_that_cannot_support_the_claim_are_said_with_the_hours_needed() -> None:
    # Without one alarm in 5.9 h the bound is 2.996 / 5.9 = 0.508 > 0.5; 5.992 h would do, 6.0 after rounding up.
    short, enough = (choose_operating_point(_curve([9], [0], hours), 0.5) for hours in (5.9, 6.0))
    assert (short.met, short.supported) == (True, False)
    assert short.note == (
        "5.9 h of negatives cannot support 0.5 false alarms per hour: "
        "at least 6.0 h are needed, and those without an alarm."
    )
    assert (enough.met, enough.supported, enough.note) == (True, True, "")


def test_a_target_kept_only_by_hearing_nothing_is_said() -> None:
    point = choose_operating_point(_curve([8, 0], [50, 0], 20.0), target_fah=0.5)
    assert point.met
    assert point.note == "0.5 false alarms per hour are kept only where no positive is detected."


def test_no_claim_without_hours_positives_or_a_possible_target() -> None:
    with pytest.raises(EvaluationError, match="add continuous negative recordings"):
        choose_operating_point(_curve([9], [0], hours=0.0), 0.5)
    with pytest.raises(EvaluationError, match="add recordings of the word"):
        choose_operating_point(_curve([0], [0], 10.0, positives=0), 0.5)
    with pytest.raises(EvaluationError, match="ask for a positive rate"):
        choose_operating_point(_curve([9], [0], 10.0), 0.0)


@given(
    counts=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 12)), min_size=1, max_size=15),
    target_fah=st.sampled_from([0.1, 0.3, 0.5, 1.0]),
)
def test_choice_satisfies_its_definition_by_brute_force(counts: list[tuple[int, int]], target_fah: float) -> None:
    curve = _curve([detected for detected, _ in counts], [alarms for _, alarms in counts], hours=10.0)
    point = choose_operating_point(curve, target_fah)
    qualifying = [n for n in range(len(counts)) if all(alarms / 10.0 <= target_fah for _, alarms in counts[n:])]
    assert point.met == bool(qualifying)
    expected = max(qualifying, key=lambda n: (counts[n][0], n)) if qualifying else len(counts) - 1
    assert point.threshold == curve.thresholds[expected]
    assert (10 - point.misses, point.false_alarms) == counts[expected]
