"""Solves least squares by Gauss-Newton steps within a trust region, from several starts
(scipy.optimize.least_squares)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rexcli.errors import RexError
from rexcli.identify.optimizer import Optimizer, Optimum, Search

SAME = 0.02
"""Relative difference of costs below which two starts count as having found the same optimum."""


class LevenbergMarquardt(Optimizer):
    """Trust-region least squares, with a Jacobian from one batch of simulations (Branch, Coleman and Li, 1999).

    Args:
        scout: candidates spread over the bounds that are tried first.
        restarts: how many of the best candidates serve as starts, at most; the search ends once two reach the same
            cost.
        iterations: maximum number from each start.
        tolerance: relative change of the cost at which a start is done.
    """

    slopes = True

    def __init__(self, scout: int = 48, restarts: int = 6, iterations: int = 30, tolerance: float = 1e-4):
        if not 1 <= restarts <= scout:
            raise RexError(f"identify.optimizer: restarts={restarts}: give a number from 1 to scout={scout}")
        if iterations < 1 or not tolerance > 0:
            raise RexError("identify.optimizer: give 1 or more iterations, and a positive tolerance")
        self.scout, self.restarts, self.iterations, self.tolerance = scout, restarts, iterations, tolerance

    def minimize(self, search: Search) -> Optimum:
        tried = search.scattered(self.scout)
        costs = search.costs(tried)
        search.note(float(costs.min()), 0.05)
        best = Optimum(tried[int(costs.argmin())], float(costs.min()))
        starts = np.argsort(costs, kind="stable")[: self.restarts]
        for number, start in enumerate(starts):
            low, high = 0.05 + 0.95 * number / len(starts), 0.05 + 0.95 * (number + 1) / len(starts)
            found = descend(search, tried[start], self.iterations, self.tolerance, (low, high))
            again = abs(found.cost - best.cost) <= SAME * best.cost and number > 0
            if found.cost < best.cost:
                best = found
            if again:
                break
        return search.check(best)


def descend(
    search: Search,
    z: np.ndarray,
    iterations: int,
    tolerance: float,
    share: tuple[float, float] = (0.0, 1.0),
    pull: float = 0.0,
) -> Optimum:
    """Runs least squares from one start and returns the best candidate that it met.

    Args:
        search: the search of the problem.
        z: the start.
        iterations: maximum number.
        tolerance: relative change of the cost at which the descent ends.
        share: the part of the whole search that this descent is, from 0 to 1; for `progress`.
        pull: weight of the squared distance, in coordinates, of the unknowns from where the search began, relative to
            squared errors; it keeps unknowns there that the data do not determine.
    """
    from scipy.optimize import least_squares

    problem = search.problem
    rows = problem.rows
    fitted, scale = rows.fitted, problem.loss_scale
    seen: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    known = np.arange(problem.size) < problem.num_params
    away = np.sqrt(pull) / scale * np.eye(problem.size)[known]
    best, least = Optimum(z, np.inf), np.inf
    count = 0

    def at(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nonlocal best, least, count
        key = z.tobytes()
        if key not in seen:
            errors, jacobian = problem.linearize(z)
            seen.clear()
            behind = away @ (z - problem.start())
            seen[key] = np.append(errors[fitted] / scale, behind), np.vstack([jacobian[fitted] / scale, away])
            cost = float(problem.cost(errors))
            whole = cost * int(fitted.sum()) + float(behind @ behind) * scale**2
            if whole < least:
                best, least = Optimum(z.copy(), cost), whole
            count += 1
            search.note(best.cost, share[0] + (share[1] - share[0]) * min(1.0, count / iterations))
        return seen[key]

    inside = np.clip(z[: problem.num_params], 0.02, 0.98)  # a start at a bound would stay there
    start = np.concatenate([inside, z[problem.num_params :]])
    options: Any = {"ftol": tolerance, "xtol": 1e-4, "gtol": 1e-10, "max_nfev": iterations, "loss": problem.loss}
    least_squares(
        lambda z: at(z)[0],
        start,
        jac=lambda z: at(z)[1],
        bounds=(problem.lower(), problem.upper()),
        **options,
    )
    return best
