"""Losses in which a large error counts for less."""

from __future__ import annotations

import numpy as np


def robust(loss: str, errors: np.ndarray) -> np.ndarray:
    """The loss of errors in units of what counts as large, as scipy.optimize.least_squares has it, without its half."""
    square = errors**2
    if loss == "huber":
        return np.where(square <= 1, square, 2 * np.sqrt(np.maximum(square, 1e-30)) - 1)
    if loss == "soft_l1":
        return 2 * (np.sqrt(1 + square) - 1)
    if loss == "cauchy":
        return np.log1p(square)
    return square


def robust_weight(loss: str, errors: np.ndarray) -> np.ndarray:
    """The derivative of `robust` by the square: how much an error counts, 1 where it is small."""
    square = errors**2
    if loss == "huber":
        return np.where(square <= 1, 1.0, 1 / np.sqrt(np.maximum(square, 1)))
    if loss == "soft_l1":
        return 1 / np.sqrt(1 + square)
    if loss == "cauchy":
        return 1 / (1 + square)
    return np.ones_like(square)
