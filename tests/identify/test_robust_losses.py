"""Losses are those of SciPy; a weight is the derivative of its loss."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from rexcli.identify.robust_losses import robust_loss, robust_weight

LOSSES = ["linear", "huber", "soft_l1", "cauchy"]
ERRORS = np.array([0.0, 1e-9, -0.3, 0.99, 1.01, -2.0, 40.0])


def test_losses_are_those_of_scipy_without_its_half() -> None:
    for loss in LOSSES:
        theirs = [2 * least_squares(lambda x, e=e: x + e, [0.0], loss=loss, max_nfev=1).cost for e in ERRORS]
        np.testing.assert_allclose(robust_loss(loss, ERRORS), theirs, rtol=1e-12, atol=1e-15)


def test_a_weight_is_the_derivative_by_the_square() -> None:
    for loss in LOSSES:
        square, step = ERRORS**2, 1e-6
        slope = (robust_loss(loss, np.sqrt(square + step)) - robust_loss(loss, np.sqrt(square))) / step
        np.testing.assert_allclose(robust_weight(loss, ERRORS), slope, rtol=1e-3)
