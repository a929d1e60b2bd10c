"""Implements CMA-ES: a Gaussian over candidates that learns how they are correlated (Hansen; the package `cma`)."""

from __future__ import annotations

import numpy as np

from rexcli.errors import RexError
from rexcli.identify.optimizer import Optimizer, Optimum, Search


class CMAES(Optimizer):
    """Covariance matrix adaptation; needs `pip install 'rexcli[cma]'`.

    Args:
        population: candidates per iteration; 0 for the default of `cma` for this number of unknowns.
        iterations: maximum number.
        deviation: standard deviation in the first iteration; the bounds are 0 and 1.
    """

    def __init__(self, population: int = 32, iterations: int = 100, deviation: float = 0.25):
        if population < 0 or iterations < 1 or not 0 < deviation <= 1:
            raise RexError(
                f"identify.optimizer: population={population}, iterations={iterations}, deviation={deviation:g}: give "
                "1 or more iterations, and a deviation from 0 to 1"
            )
        self.population, self.iterations, self.deviation = population, iterations, deviation

    def minimize(self, search: Search) -> Optimum:
        try:
            import cma
        except ImportError:
            raise RexError("identify.optimizer=CMAES needs the package cma: pip install 'rexcli[cma]'") from None
        problem = search.problem
        options = {
            "bounds": [problem.lower().tolist(), problem.upper().tolist()],
            "seed": int(search.rng.integers(1, 2**31)),
            "verbose": -9,
            "maxiter": self.iterations,
            "CMA_stds": np.where(np.arange(problem.size) < problem.num_params, 1.0, 4.0).tolist(),
            **({"popsize": self.population} if self.population else {}),
        }
        options["bounds"] = [[None if not np.isfinite(b) else b for b in each] for each in options["bounds"]]
        strategy = cma.CMAEvolutionStrategy(problem.start(), self.deviation, options)
        best, iteration = Optimum(problem.start(), np.inf), 0
        while not strategy.stop():
            tried = np.stack(strategy.ask())
            costs = search.costs(tried, len(tried))
            strategy.tell(list(tried), costs.tolist())
            if costs.min() < best.cost:
                best = Optimum(tried[int(costs.argmin())], float(costs.min()))
            iteration += 1
            search.note(best.cost, iteration / self.iterations)
        return search.check(best)
