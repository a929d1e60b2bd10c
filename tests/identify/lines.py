"""A problem whose errors are straight lines, so that its answer is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from rexcli.config.schema import IdentifyConfig, UnknownConfig
from rexcli.identify.optimizer import Search
from rexcli.identify.problem import Problem
from rexcli.identify.robust_losses import robust_loss
from rexcli.identify.unknowns import Unknowns


class Lines:
    """Stands for a `Problem`: its errors are `slopes`, `[rows, size]`, times how far a candidate is from `truth`.

    Args:
        slopes: of each row's error by each coordinate.
        truth: where there are no errors but `noise`.
        noise: of each row.
        states: how many of the coordinates, the last ones, are initial states, which have no bounds.
    """

    loss, loss_scale = "linear", 1.0

    def __init__(self, slopes: np.ndarray, truth: np.ndarray, noise: np.ndarray | float = 0.0, states: int = 0):
        self.slopes, self.truth, self.noise = slopes, truth, noise
        self.size, self.num_params, self.rollouts = len(truth), len(truth) - states, 0
        numbers = {f"p{index}": UnknownConfig(low=0.0, high=1.0) for index in range(self.num_params)}
        self.unknowns = Unknowns(IdentifyConfig(nodes={"n": numbers}))
        rows, nothing = len(slopes), np.zeros(len(slopes), int)
        self.rows = SimpleNamespace(fitted=nothing == 0, signal=nothing, episode=nothing, step=np.arange(rows))
        self.signals = [SimpleNamespace(name="n.out")]
        self.timeline = SimpleNamespace(num_episodes=1, num_steps=np.array([rows]))

    start, lower, upper = Problem.start, Problem.lower, Problem.upper

    def errors(self, z: np.ndarray, width: int | None = None) -> np.ndarray:
        self.rollouts += len(z)
        return (z - self.truth) @ self.slopes.T + self.noise

    def cost(self, errors: np.ndarray) -> np.ndarray:
        return np.mean(robust_loss(self.loss, errors / self.loss_scale), axis=-1) * self.loss_scale**2

    def linearize(self, z: np.ndarray, *, central: bool = False) -> tuple[np.ndarray, np.ndarray]:
        return self.errors(z[None])[0], self.slopes


def search_of(problem: Lines, seed: int = 0) -> Search:
    return Search(problem, np.random.default_rng(seed), lambda share, note: None)  # type: ignore[arg-type]
