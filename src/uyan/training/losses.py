"""The loss: cross-entropy at every labelled window position, classes balanced, labels smoothed (MISSION 2.5).

It knows nothing of the loop around it.
"""

import torch
from torch import Tensor
from torch.nn import functional


def balanced_class_weights(labels: Tensor, classes: int, ignored: int) -> Tensor:
    """Weights that make every class count the same in total, shape (classes,); labels of any shape.

    >>> balanced_class_weights(torch.tensor([0, 0, 0, 1, -100]), 2, -100)
    tensor([0.6667, 2.0000])
    """
    counts = torch.stack([(labels == c).sum() for c in range(classes)]).float()
    total = (labels != ignored).sum().float()
    return torch.where(counts > 0, total / (classes * counts.clamp_min(1.0)), torch.zeros_like(counts))


def position_cross_entropy(logits: Tensor, labels: Tensor, ignored: int, label_smoothing: float) -> Tensor:
    """Scalar loss of logits (batch, classes, positions) against labels (batch, positions).

    Positions labelled `ignored` do not count.
    """
    classes = logits.shape[1]
    weights = balanced_class_weights(labels, classes, ignored)
    # One row a position: over (batch, classes, positions) the loss has no deterministic form on CUDA.
    rows = logits.transpose(1, 2).reshape(-1, classes)
    return functional.cross_entropy(
        rows, labels.reshape(-1), weight=weights, ignore_index=ignored, label_smoothing=label_smoothing
    )
