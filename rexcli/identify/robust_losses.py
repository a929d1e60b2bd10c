"""Defines losses in which large errors count for less."""

from __future__ import annotations

import numpy as np


def robust_loss(loss: str, errors: np.ndarray) -> np.ndarray:
    """Returns the loss of errors, in units of the error that counts as large.

    The losses are those of scipy.optimize.least_squares, without its factor 1/2.
    """
    square = errors**2
    if loss == "huber":
        return np.where(square <= 1, square, 2 * np.sqrt(np.maximum(square, 1e-30)) - 1)
    if loss == "soft_l1":
        return 2 * (np.sqrt(1 + square) - 1)
    if loss == "cauchy":
        return np.log1p(square)
    return square


def robust_weight(loss: str, errors: np.ndarray) -> np.ndarray:
    """Returns the derivative of `robust_loss` by the squared error: the weight of an error, 1 for small ones."""
    square = errors**2
    if loss == "huber":
        return np.where(square <= 1, 1.0, 1 / np.sqrt(np.maximum(square, 1)))
    if loss == "soft_l1":
        return 1 / np.sqrt(1 + square)
    if loss == "cauchy":
        return 1 / (1 + square)
    return np.ones_like(square)
