import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.errors import EvaluationError
from uyan.evaluation.intervals import clopper_pearson, poisson_rate
from uyan.evaluation.metrics import (
    Confusion,
    EventCurve,
    area_over_fah,
    attainable,
    confusion,
    det_curve,
    equal_error_rate,
    fpr_at_tpr,
    miss_rate_at_fah,
    partial_auc,
)

# Worked on paper: 4 positives P and 5 negatives N in the order of their scores.
#
#   score          0.1  0.2  0.3  0.4  0.5  0.6  0.7  0.8  0.9  above
#   kind            N    N    P    N    N    P    N    P    P
#   missed, /4      0    0    0    1    1    1    2    2    3    4
#   accepted N, /5  5    4    3    3    2    1    1    0    0    0
POSITIVE = [0.3, 0.6, 0.8, 0.9]
NEGATIVE = [0.1, 0.2, 0.4, 0.5, 0.7]

# A few distinct values, so that ties within and between the classes come up all the time.
SCORES = st.lists(st.integers(0, 8).map(lambda eighths: eighths / 8), min_size=1, max_size=15)


def test_det_curve_worked_on_paper() -> None:
    curve = det_curve(POSITIVE, NEGATIVE)
    assert curve.thresholds[:-1].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert 0.9 < curve.thresholds[-1] < 0.9 + 1e-12
    assert (curve.miss_rate * 4).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 3, 4]
    assert (curve.false_alarm_rate * 5).tolist() == pytest.approx([5, 4, 3, 3, 2, 1, 1, 0, 0, 0])
    assert (curve.positives, curve.negatives) == (4, 5)


def test_figures_worked_on_paper() -> None:
    curve = det_curve(POSITIVE, NEGATIVE)
    # Between 0.5 (miss 1/4, alarms 2/5) and 0.6 (1/4, 1/5) the lines cross where the miss rate is 1/4.
    assert equal_error_rate(curve) == pytest.approx(0.25)
    # 95 % of 4 positives needs all 4: threshold 0.3, 3 of 5 negatives pass. 75 % needs 3: threshold 0.6, 1 of 5.
    assert fpr_at_tpr(curve) == pytest.approx(0.6)
    assert fpr_at_tpr(curve, tpr=0.75) == pytest.approx(0.2)
    # ROC: hits 2/4 up to FPR 1/5, then 3/4 up to 3/5, then 1. Area to 0.4: 0.2 * 0.5 + 0.2 * 0.75 = 0.25.
    assert partial_auc(curve, max_fpr=0.4) == pytest.approx(0.25 / 0.4)
    assert partial_auc(curve, max_fpr=0.1) == pytest.approx(0.5)
    # 16 of the 20 pairs are in the right order: 0.3 beats 2 negatives, 0.6 beats 4, 0.8 and 0.9 beat all 5.
    assert partial_auc(curve, max_fpr=1.0) == pytest.approx(16 / 20)
    assert confusion(POSITIVE, NEGATIVE, 0.6) == Confusion(3, 1, 1, 4)


def test_a_share_of_trials_meets_its_own_target_in_spite_of_rounding() -> None:
    # 9 of 10 positives accepted is a TPR of 0.9, although 1 - 0.9 < 1 / 10 in floats.
    curve = det_curve([0.1] + [0.9] * 9, [0.05, 0.5, 0.5, 0.5])
    assert fpr_at_tpr(curve, tpr=0.9) == 0.0


def test_separable_scores_are_perfect_and_equal_ones_are_chance() -> None:
    perfect = det_curve([0.8, 0.9], [0.1, 0.2])
    assert (equal_error_rate(perfect), fpr_at_tpr(perfect), partial_auc(perfect)) == (0.0, 0.0, 1.0)
    chance = det_curve([0.5, 0.5], [0.5])
    assert equal_error_rate(chance) == 0.5
    assert partial_auc(chance) == pytest.approx(0.05)  # max_fpr / 2


@given(positive=SCORES, negative=SCORES)
def test_det_curve_counts_what_confusion_counts(positive: list[float], negative: list[float]) -> None:
    curve = det_curve(positive, negative)
    for threshold, miss_rate, alarm_rate in zip(curve.thresholds, curve.miss_rate, curve.false_alarm_rate, strict=True):
        counts = confusion(positive, negative, float(threshold))
        assert counts.false_negative / len(positive) == miss_rate
        assert counts.false_positive / len(negative) == alarm_rate
        assert counts.true_positive + counts.false_negative == len(positive)
        assert counts.false_positive + counts.true_negative == len(negative)


@given(positive=SCORES, negative=SCORES)
def test_det_curve_is_monotone_from_all_accepted_to_none(positive: list[float], negative: list[float]) -> None:
    curve = det_curve(positive, negative)
    assert (np.diff(curve.thresholds) > 0).all()
    assert (np.diff(curve.miss_rate) >= 0).all()
    assert (np.diff(curve.false_alarm_rate) <= 0).all()
    assert (curve.miss_rate[0], curve.false_alarm_rate[0]) == (0.0, 1.0)
    assert (curve.miss_rate[-1], curve.false_alarm_rate[-1]) == (1.0, 0.0)


@given(positive=SCORES, negative=SCORES)
def test_equal_error_rate_lies_between_the_points_around_it(positive: list[float], negative: list[float]) -> None:
    curve = det_curve(positive, negative)
    eer = equal_error_rate(curve)
    before = curve.miss_rate < curve.false_alarm_rate
    assert 0 <= eer <= 1
    assert curve.miss_rate[before].max() - 1e-12 <= eer <= curve.false_alarm_rate[before].min() + 1e-12
    mirrored = det_curve([-score for score in negative], [-score for score in positive])
    assert equal_error_rate(mirrored) == pytest.approx(eer)


@given(positive=SCORES, negative=SCORES)
def test_whole_area_is_the_share_of_pairs_in_the_right_order(positive: list[float], negative: list[float]) -> None:
    ahead = np.sign(np.subtract.outer(positive, negative))
    assert partial_auc(det_curve(positive, negative), max_fpr=1.0) == pytest.approx((1 + ahead.mean()) / 2)


@given(positive=SCORES, negative=SCORES, max_fpr=st.floats(0.01, 1.0))
def test_partial_area_is_a_share_and_never_falls_as_it_widens(
    positive: list[float], negative: list[float], max_fpr: float
) -> None:
    curve = det_curve(positive, negative)
    area = partial_auc(curve, max_fpr)
    assert -1e-12 <= area <= 1 + 1e-12
    assert area <= partial_auc(curve, 1.0) + 1e-12


@given(positive=SCORES, negative=SCORES, tpr=st.integers(0, 1000).map(lambda thousandths: thousandths / 1000))
def test_fpr_at_tpr_is_the_lowest_by_brute_force(positive: list[float], negative: list[float], tpr: float) -> None:
    rates = []
    for threshold in [*positive, *negative, 2.0]:
        counts = confusion(positive, negative, threshold)
        if counts.true_positive / len(positive) >= tpr - 1e-9:
            rates.append(counts.false_positive / len(negative))
    assert fpr_at_tpr(det_curve(positive, negative), tpr) == min(rates)


def test_a_threshold_just_above_a_float32_score_rejects_it() -> None:
    score = np.array([0.7], np.float32)
    just_above = float(np.nextafter(np.float64(score[0]), 1.0))
    assert confusion(score, score, just_above) == Confusion(0, 1, 0, 1)


# Events, worked on paper: 5 positives, 4 h of negatives. One lockout made the alarms rise again at 0.6.
#
#   threshold   0.2   0.3   0.4   0.5   0.6   0.7   0.8   0.9
#   detected     5     5     5     4     4     4     2     0
#   alarms      40    12     5     2     3     2     1     0
#   FAH         10     3   1.25   0.5  0.75   0.5  0.25    0
#   needs       10     3   1.25  0.75  0.75   0.5  0.25    0     (the worst FAH at or above)
EVENTS = EventCurve(
    thresholds=np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
    detected=np.array([5, 5, 5, 4, 4, 4, 2, 0]),
    false_alarms=np.array([40, 12, 5, 2, 3, 2, 1, 0]),
    positives=5,
    hours=4.0,
)

EVENT_CURVES = st.builds(
    lambda counts, hours: EventCurve(
        thresholds=np.arange(1, len(counts) + 1) / 20,
        detected=np.array([detected for detected, _ in counts]),
        false_alarms=np.array([alarms for _, alarms in counts]),
        positives=6,
        hours=hours,
    ),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=12),
    st.sampled_from([0.5, 3.0, 10.0]),
)


def test_event_rates_worked_on_paper() -> None:
    assert EVENTS.miss_rate.tolist() == [0, 0, 0, 0.2, 0.2, 0.2, 0.6, 1]
    assert EVENTS.fah.tolist() == [10, 3, 1.25, 0.5, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize(
    ("target_fah", "threshold", "misses"),
    [
        (0.5, 0.7, 1),  # 0.5 has a FAH of 0.5 as well, but 0.6 above it does not keep to it
        (0.75, 0.7, 1),  # 0.5, 0.6 and 0.7 qualify with one miss each: the highest
        (1.25, 0.4, 0),
        (100.0, 0.4, 0),
        (0.3, 0.8, 3),
        (0.0, 0.9, 5),
    ],
)
def test_miss_rate_at_fah_worked_on_paper(target_fah: float, threshold: float, misses: int) -> None:
    best = miss_rate_at_fah(EVENTS, target_fah)
    assert (best.threshold, best.misses, best.met) == (threshold, misses, True)
    assert best.miss_rate == misses / 5
    assert best.miss_interval == clopper_pearson(misses, 5)
    assert best.fah_interval == poisson_rate(best.false_alarms, 4.0)
    assert (best.fah, best.hours, best.positives) == (best.false_alarms / 4, 4.0, 5)


def test_a_target_that_no_threshold_meets_gives_the_strictest() -> None:
    curve = EventCurve(np.array([0.3, 0.9]), np.array([5, 4]), np.array([2, 7]), positives=5, hours=1.0)
    best = miss_rate_at_fah(curve, 3.0)  # 0.3 alone would do, but not every threshold above it
    assert (best.met, best.threshold, best.misses, best.fah) == (False, 0.9, 1, 7.0)


def test_area_over_fah_worked_on_paper() -> None:
    # Miss rate 1 up to 0.25 FAH, 0.6 up to 0.5, 0.2 up to 1.25, then 0: 0.25 + 0.15 + 0.15 over 2.
    assert area_over_fah(EVENTS) == pytest.approx(0.55 / 2)
    assert area_over_fah(EVENTS, max_fah=0.25) == pytest.approx(1.0)


def test_area_counts_targets_below_the_strictest_threshold_as_all_missed() -> None:
    curve = EventCurve(np.array([0.5]), np.array([4]), np.array([1]), positives=4, hours=1.0)
    assert area_over_fah(curve, max_fah=2.0) == 0.5
    assert area_over_fah(curve, max_fah=0.5) == 1.0


@given(curve=EVENT_CURVES, target_fah=st.floats(0, 12))
def test_staircase_and_single_targets_agree(curve: EventCurve, target_fah: float) -> None:
    fah, miss_rate = attainable(curve)
    assert (np.diff(fah) >= 0).all()
    assert (np.diff(miss_rate) <= 0).all()
    within = miss_rate[fah <= target_fah]
    best = miss_rate_at_fah(curve, target_fah)
    assert best.met == bool(within.size)
    if best.met:
        assert best.miss_rate == within[-1]


@given(curve=EVENT_CURVES, max_fah=st.floats(0.5, 10))
def test_area_is_the_mean_over_targets(curve: EventCurve, max_fah: float) -> None:
    fah, miss_rate = attainable(curve)
    middles = (np.arange(400) + 0.5) / 400 * max_fah
    mean = np.concatenate([[1.0], miss_rate])[np.searchsorted(fah, middles, side="right")].mean()
    # A step counts from the nearest middle on, at most half a cell off; all steps together fall by at most 1.
    assert area_over_fah(curve, max_fah) == pytest.approx(mean, abs=0.5 / 400 + 1e-12)


def test_what_cannot_be_measured_is_refused_with_the_fix() -> None:
    with pytest.raises(EvaluationError, match="negative scores of shape \\(0,\\)"):
        det_curve([0.5], [])
    with pytest.raises(EvaluationError, match="1 positive scores are NaN"):
        confusion([0.5, np.nan], [0.1], 0.5)
    curve = det_curve([0.5], [0.1])
    with pytest.raises(EvaluationError, match="max_fpr"):
        partial_auc(curve, max_fpr=0.0)
    with pytest.raises(EvaluationError, match="tpr"):
        fpr_at_tpr(curve, tpr=95.0)
    with pytest.raises(EvaluationError, match="target_fah"):
        miss_rate_at_fah(EVENTS, -1.0)
    with pytest.raises(EvaluationError, match="max_fah"):
        area_over_fah(EVENTS, max_fah=0.0)


def test_a_curve_that_cannot_be_is_refused() -> None:
    one, two = np.array([1]), np.array([0.2, 0.1])
    with pytest.raises(EvaluationError, match="one shape"):
        EventCurve(two, one, one, positives=1, hours=1.0)
    with pytest.raises(EvaluationError, match="ascend"):
        EventCurve(two, np.array([1, 1]), np.array([1, 1]), positives=1, hours=1.0)
    with pytest.raises(EvaluationError, match="detected <= 0 positives"):
        EventCurve(np.array([0.5]), one, one, positives=0, hours=1.0)
    with pytest.raises(EvaluationError, match="without positives"):
        _ = EventCurve(np.array([0.5]), 0 * one, one, positives=0, hours=1.0).miss_rate
    with pytest.raises(EvaluationError, match="add continuous negative"):
        _ = EventCurve(np.array([0.5]), one, one, positives=1, hours=0.0).fah
