"""The losses, over every labelled window position (MISSION 2.5).

First cross-entropy, classes balanced, labels smoothed; then, once validation asks for it, the focal loss of Lin et al.
2017 (Focal Loss for Dense Object Detection). It knows nothing of the loop around it, nor of who asks.
"""

import torch
from torch import Tensor
from torch.nn import functional

from uyan.data.placing import KEYWORD


def class_counts(labels: Tensor, classes: int) -> Tensor:
    """Positions of each class, shape (classes,), in labels of any shape; others are not counted.

    >>> class_counts(torch.tensor([0, 0, 0, 1, -100]), 2)
    tensor([3., 1.])
    """
    return torch.stack([(labels == c).sum() for c in range(classes)]).float()


def balanced_class_weights(counts: Tensor) -> Tensor:
    """Weights that make every class count the same in total, shape (classes,), as `counts`.

    >>> balanced_class_weights(torch.tensor([3.0, 1.0]))
    tensor([0.6667, 2.0000])
    """
    return torch.where(counts > 0, counts.sum() / (len(counts) * counts.clamp_min(1.0)), torch.zeros_like(counts))


def position_cross_entropy(
    logits: Tensor, labels: Tensor, ignored: int, label_smoothing: float, counts: Tensor | None = None
) -> Tensor:
    """Scalar loss of logits (batch, classes, positions) against labels (batch, positions).

    Positions labelled `ignored` do not count. `counts` are `class_counts` of a whole batch, where these are a share of
    it: the result is then their part of its loss, which is the sum of all parts.
    """
    classes = logits.shape[1]
    counts = class_counts(labels, classes) if counts is None else counts
    weights = balanced_class_weights(counts).to(logits.dtype)
    # One row a position: over (batch, classes, positions) the loss has no deterministic form on CUDA.
    rows = logits.transpose(1, 2).reshape(-1, classes)
    summed = functional.cross_entropy(
        rows,
        labels.reshape(-1),
        weight=weights,
        ignore_index=ignored,
        label_smoothing=label_smoothing,
        reduction="sum",
    )
    return summed / (weights * counts).sum()


def position_focal(
    logits: Tensor, labels: Tensor, ignored: int, alpha: float, gamma: float, counts: Tensor | None = None
) -> Tensor:
    """Scalar focal loss of logits (batch, classes, positions) against labels (batch, positions).

    `counts` as in `position_cross_entropy`.

    −a (1 − p)^gamma log p, where p is the probability of the true class and a is `alpha` for the keyword and
    1 − `alpha` for the rest, summed and divided by the number of labelled positions. A position that is even (p = 1/2)
    has 1/4 of its cross-entropy left at gamma 2, a position that is right (p = 0.9) 1/100, times a: the loss is one to
    two orders smaller than `position_cross_entropy`. Adam's steps do not depend on that scale in the long run, but it
    forgets slowly: after a switch to gradients k times smaller its steps are too small for 2 ln k / (1 − beta2) steps,
    2,000 · ln k with the usual beta2, unless its state is cleared.

    >>> even = torch.zeros(1, 2, 2)
    >>> round(position_focal(even, torch.tensor([[1, -100]]), -100, 0.25, 2.0).item(), 4)  # 0.25 · 0.5² · ln 2
    0.0433
    """
    classes = logits.shape[1]
    rows, truths = logits.transpose(1, 2).reshape(-1, classes), labels.reshape(-1)
    log_p = torch.log_softmax(rows, dim=1)
    true = truths.unsqueeze(1) == torch.arange(classes, device=labels.device)
    log_true = torch.where(true, log_p, 0.0).sum(dim=1)
    # 1 − p as the sum of the others: no digits are lost where p is near 1, and no gradient is infinite there.
    log_rest = torch.logsumexp(log_p.masked_fill(true, -torch.inf), dim=1)
    weights = torch.where(truths == KEYWORD, alpha, 1.0 - alpha)
    losses = -weights * torch.exp(gamma * log_rest) * log_true
    counts = class_counts(truths, classes) if counts is None else counts
    return torch.where(truths != ignored, losses, 0.0).sum() / counts.sum().clamp_min(1)
