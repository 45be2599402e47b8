"""The loss against arithmetic done by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uyan.training.losses import balanced_class_weights, position_cross_entropy

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
    weights = balanced_class_weights(labels, 2, IGNORED)
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
