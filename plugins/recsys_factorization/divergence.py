"""What gradient descent says when its steps are too large for the data."""

from __future__ import annotations

import math

from recsys_desktop.api import CannotFit

DIVERGED = "the steps diverged: lower 'learning_rate' or raise 'regularisation'"


def require_converging(loss: float) -> None:
    """Go on only while the loss of an epoch is a number.

    Raises
    ------
    CannotFit: it is not.
    """
    if not math.isfinite(loss):
        raise CannotFit(DIVERGED)
