"""The loss against arithmetic done by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from uyan.training.losses import balanced_class_weights, class_counts, position_cross_entropy, position_focal

IGNORED = -100
# One example, three positions; the classes' probabilities are 3/4 to 1/4, and 1/2 each.
LOGITS = torch.tensor([[[math.log(3.0), 0.0, 0.0], [0.0, 0.0, 7.0]]])


def test_weighted_mean_by_hand() -> None:
    # Both classes count half: each has one position, weights 1 and 1.
    labels = torch.tensor([[0, 1, IGNORED]])
    expected = (-math.log(3 / 4) - math.log(1 / 2)) / 2
    assert position_cross_entropy(LOGITS, labels, IGNORED, 0.0).item() == pytest.approx(expected)


def test_three_against_one_by_hand() -> None:
    logits = torch.tensor([[[math.log(3.0)] * 3 + [math.log(3.0)], [0.0] * 4]])
    labels = torch.tensor([[0, 0, 0, 1]])
    # Weights 4 / (2 · 3) and 4 / (2 · 1): the class means count the same.
    expected = (-math.log(3 / 4) - math.log(1 / 4)) / 2
    assert position_cross_entropy(logits, labels, IGNORED, 0.0).item() == pytest.approx(expected)


def test_label_smoothing_by_hand() -> None:
    labels = torch.tensor([[0, 1, IGNORED]])
    smoothing = 0.1
    first = -(0.95 * math.log(3 / 4) + 0.05 * math.log(1 / 4))
    second = -math.log(1 / 2)
    loss = position_cross_entropy(LOGITS, labels, IGNORED, smoothing).item()
    assert loss == pytest.approx((first + second) / 2)


def test_ignored_positions_have_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    position_cross_entropy(logits, torch.tensor([[0, 1, IGNORED]]), IGNORED, 0.05).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0, :, 2].tolist() == [0.0, 0.0]
    assert (logits.grad[0, :, :2] != 0).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_balanced_weights_make_both_classes_count_the_same(background: int, keyword: int, ignored: int) -> None:
    labels = torch.tensor([0] * background + [1] * keyword + [IGNORED] * ignored)
    weights = balanced_class_weights(class_counts(labels, 2))
    total = background + keyword
    assert weights[0].item() * background == pytest.approx(total / 2, rel=1e-5)
    assert weights[1].item() * keyword == pytest.approx(total / 2, rel=1e-5)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_a_batch_of_one_class_is_finite(label: int, smoothing: float) -> None:
    logits = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = position_cross_entropy(logits, torch.full((4, 6), label), IGNORED, smoothing)
    loss.backward()  # type: ignore[no-untyped-call]
    assert 0 < loss.item() < 10
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_more_confidence_in_the_truth_costs_less() -> None:
    labels = torch.tensor([[1, 1, 0, 0]])
    losses = [
        position_cross_entropy(torch.tensor([[[0.0, 0.0, m, m], [m, m, 0.0, 0.0]]]), labels, IGNORED, 0.0).item()
        for m in (-2.0, 0.0, 2.0, 4.0)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[1] == pytest.approx(math.log(2))


def test_focal_by_hand() -> None:
    labels = torch.tensor([[0, 1, IGNORED]])
    # Background at 3/4, keyword at 1/2: (1 − a)(1 − p)² and a (1 − p)² times the cross-entropy, over two positions.
    expected = -(0.75 * 0.25**2 * math.log(3 / 4) + 0.25 * 0.5**2 * math.log(1 / 2)) / 2
    assert position_focal(LOGITS, labels, IGNORED, 0.25, 2.0).item() == pytest.approx(expected)


@pytest.mark.parametrize(("p", "factor"), [(0.9, 100), (0.968, 976.5625)])
def test_what_is_right_costs_as_little_as_in_the_paper(p: float, factor: float) -> None:
    # Lin et al. 2017, section 3.2: at gamma 2, p = 0.9 costs 100 times and p ≈ 0.968 1,000 times less.
    logits = torch.tensor([[[0.0], [math.log(p / (1 - p))]]], dtype=torch.float64)
    loss = position_focal(logits, torch.tensor([[1]]), IGNORED, 0.5, 2.0).item()
    assert loss * factor == pytest.approx(-0.5 * math.log(p), rel=1e-6)


GENERATOR = torch.Generator().manual_seed(5)
MANY = torch.randn(6, 2, 9, generator=GENERATOR, dtype=torch.float64) * 4
MANY_LABELS = torch.randint(-1, 2, (6, 9), generator=GENERATOR)
MANY_LABELS[MANY_LABELS < 0] = IGNORED


def test_at_gamma_0_it_is_weighted_cross_entropy() -> None:
    weights = torch.tensor([0.7, 0.3], dtype=torch.float64)
    total = functional.cross_entropy(MANY, MANY_LABELS, weights, ignore_index=IGNORED, reduction="sum")
    expected = (total / (MANY_LABELS != IGNORED).sum()).item()
    assert position_focal(MANY, MANY_LABELS, IGNORED, 0.3, 0.0).item() == pytest.approx(expected, rel=1e-6)


def test_three_classes_against_the_formula() -> None:
    logits = torch.randn(3, 3, 4, generator=GENERATOR, dtype=torch.float64)
    labels = torch.tensor([[0, 1, 2, 1], [2, 2, 0, 0], [1, 0, IGNORED, 2]])
    p, total = logits.softmax(dim=1), 0.0
    for example, row in enumerate(labels.tolist()):
        for position, label in enumerate(row):
            if label != IGNORED:
                true = p[example, label, position].item()
                total -= (0.3 if label == 1 else 0.7) * (1 - true) ** 1.5 * math.log(true)
    assert position_focal(logits, labels, IGNORED, 0.3, 1.5).item() == pytest.approx(total / 11, rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("margin", [-1e4, -80.0, 0.0, 80.0, 1e4])
def test_focal_is_finite_however_sure_the_network_is(margin: float, gamma: float) -> None:
    logits = torch.tensor([[[0.0], [margin]]], requires_grad=True)
    loss = position_focal(logits, torch.tensor([[1]]), IGNORED, 0.25, gamma)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(0.25 * max(0.0, -margin), abs=0.2)
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_the_gradient_is_that_of_the_formula() -> None:
    logits = MANY[:2, :, :3].clone().requires_grad_()
    labels = torch.tensor([[0, 1, IGNORED], [1, 1, 0]])
    assert torch.autograd.gradcheck(lambda x: position_focal(x, labels, IGNORED, 0.25, 2.0), (logits,))
    position_focal(logits, labels, IGNORED, 0.25, 2.0).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and logits.grad[0, :, 2].tolist() == [0.0, 0.0]


def test_no_labelled_position_costs_nothing() -> None:
    assert position_focal(LOGITS, torch.full((1, 3), IGNORED), IGNORED, 0.25, 2.0).item() == 0.0


@given(st.floats(-30, 30), st.permutations(range(9)), st.floats(0.01, 0.99), st.floats(0, 4), st.integers(1, 3))
def test_focal_invariances(shift: float, order: list[int], alpha: float, gamma: float, copies: int) -> None:
    loss = position_focal(MANY, MANY_LABELS, IGNORED, alpha, gamma).item()
    shifted = position_focal(MANY + shift, MANY_LABELS, IGNORED, alpha, gamma).item()
    moved = position_focal(MANY[..., order], MANY_LABELS[:, order], IGNORED, alpha, gamma).item()
    repeated = position_focal(MANY.repeat(copies, 1, 1), MANY_LABELS.repeat(copies, 1), IGNORED, alpha, gamma).item()
    # Classes exchanged along with their weights.
    exchanged_labels = torch.where(MANY_LABELS == IGNORED, IGNORED, 1 - MANY_LABELS)
    exchanged = position_focal(MANY.flip(1), exchanged_labels, IGNORED, 1 - alpha, gamma).item()
    assert [shifted, moved, repeated, exchanged] == pytest.approx([loss] * 4, rel=1e-5)


@given(st.floats(0, 4), st.floats(0.1, 2))
def test_more_focus_never_costs_more(gamma: float, more: float) -> None:
    losses = [position_focal(MANY, MANY_LABELS, IGNORED, 0.25, g).item() for g in (gamma, gamma + more)]
    assert losses[1] < losses[0]
