"""Implements the cross-entropy method: a Gaussian over candidates moves to the best of its samples (Rubinstein,
1999)."""

from __future__ import annotations

import numpy as np

from rexcli.errors import RexError
from rexcli.identify.optimizer import Optimizer, Optimum, Search


class CEM(Optimizer):
    """The cross-entropy method with a Gaussian of diagonal covariance.

    Args:
        population: candidates per iteration.
        elites: how many of them the next Gaussian is made from.
        iterations: maximum number; the search ends sooner when the Gaussian has become narrow.
        smoothing: weight of the previous Gaussian in the next one, 0 to 1.
    """

    def __init__(self, population: int = 128, elites: int = 12, iterations: int = 60, smoothing: float = 0.1):
        if not 2 <= elites <= population or iterations < 1 or not 0 <= smoothing < 1:
            raise RexError(
                f"identify.optimizer: population={population}, elites={elites}, iterations={iterations}, "
                f"smoothing={smoothing:g}: give 2 or more elites of a larger population, and a smoothing below 1"
            )
        self.population, self.elites, self.iterations, self.smoothing = population, elites, iterations, smoothing

    def minimize(self, search: Search) -> Optimum:
        problem = search.problem
        states = problem.size - problem.num_params
        mean, deviation = problem.start(), np.concatenate([np.full(problem.num_params, 0.4), np.ones(states)])
        best = Optimum(mean, np.inf)
        for iteration in range(self.iterations):
            tried = mean + deviation * search.rng.standard_normal((self.population, problem.size))
            tried = np.clip(tried, problem.lower(), problem.upper())
            costs = search.costs(tried, self.population)
            order = np.argsort(costs, kind="stable")[: self.elites]
            if costs[order[0]] < best.cost:
                best = Optimum(tried[order[0]], float(costs[order[0]]))
            mean = self.smoothing * mean + (1 - self.smoothing) * tried[order].mean(axis=0)
            deviation = self.smoothing * deviation + (1 - self.smoothing) * tried[order].std(axis=0)
            search.note(best.cost, (iteration + 1) / self.iterations)
            if deviation.max() < 1e-4:
                break
        return search.check(best)
