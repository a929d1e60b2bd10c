"""Holds the states of the seeds of a training on the host, and schedules which seed trains when.

At evaluations, the whole state consists of plain arrays.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.policy import Policy
from rexcli.rl.process_group import Message
from rexcli.rl.seed_program import SeedProgram, Turn
from rexcli.rl.training_setup import TrainingSetup
from rexcli.system.paths import leaf_paths

PyTree = Any
Floats = npt.NDArray[np.float32]


class SeedBatch:
    """The states of all seeds of a training, on the host.

    Attributes:
        setup: the setup of the training.
        program: trains the seeds of this process; compiled for this training alone if None is given.
        num_seeds: number of seeds of all processes together.
        group: the processes.
        own: the seeds of this process.
        states: the learners, each leaf `[num_seeds, ...]`, NumPy.
        best: what each had learned when `keep` was last called for it, in the same form.
        numbers: the algorithm's numbers, by name, for each seed.
        evaluation, updates: number of evaluations and updates that each seed has made.
    """

    def __init__(self, setup: TrainingSetup, program: SeedProgram | None = None):
        self.setup = setup
        self.num_seeds = setup.num_seeds
        self.group = setup.group
        self.own = self.group.share(self.num_seeds)
        self.evaluation = self.updates = 0
        self.program = program or SeedProgram([setup])
        numbers = setup.algorithm.numbers
        self.numbers = {name: np.full(self.num_seeds, number, np.float32) for name, number in numbers.items()}
        self.states = jax.tree.map(np.array, self.program.begin(setup, self.numbers))
        self.best = jax.tree.map(np.copy, self.states.learned)
        self._parts: dict[int, list[tuple[int, dict[str, float]]]] = {}

    def advance(self, until: int) -> dict[str, Floats]:
        """Trains every own seed up to `until` updates, and evaluates it; returns metrics by name, `[own seeds]`."""
        return self.program.advance([(self, until)])[0]

    def turns(self, until: int, together: int) -> list[Turn]:
        """Returns the turns that train every own seed up to `until` updates and evaluate it, `together` of them at a
        time.
        """
        updates, self.updates = until - self.updates, until
        self.evaluation += 1
        self._parts = {seed: [] for seed in self.own}
        left = dict.fromkeys(self.own, updates)
        turns = []
        for places, shares in schedule(len(self.own), together, updates):
            for place, share in zip(places, shares, strict=True):
                seed = self.own[place]
                left[seed] -= share
                turns.append(Turn(self, seed, share, left[seed] == 0))
        return turns

    def take(self, turn: Turn, state: PyTree, metrics: dict[str, float], evaluation: dict[str, float]) -> None:
        """Stores the results of a turn."""
        for whole, part in zip(jax.tree.leaves(self.states), jax.tree.leaves(state), strict=True):
            whole[turn.seed] = part
        self._parts[turn.seed].append((turn.updates, metrics | (evaluation if turn.judge else {})))

    def metrics(self) -> dict[str, Floats]:
        """Returns the metrics of the last turns, by name, `[own seeds]`."""
        names = sorted(self._parts[self.own[0]][-1][1])
        return {name: np.array([_mean(part, name) for part in self._parts.values()], np.float32) for name in names}

    # ------------------------------------------------------------------ with other processes

    def scatter(self) -> None:
        """Sends the progress of the training, and the states of their seeds, to the other processes; for process 0."""
        for other in self.group.others:
            position = {"evaluation": np.array(self.evaluation), "updates": np.array(self.updates)}
            self.group.send(other, position | self._rows(self.group.share(self.num_seeds, other)))

    def take_over(self) -> None:
        """Receives what `scatter` sent; for the other processes."""
        message = self.group.receive(0)
        self._set_rows(self.own, message)
        self.evaluation, self.updates = int(message["evaluation"]), int(message["updates"])

    def report(self, metrics: dict[str, Floats], stop: bool) -> None:
        """Sends the results of `advance`, and whether this process was asked to stop; for the other processes."""
        told = {f"metrics/{name}": values for name, values in metrics.items()}
        self.group.send(0, told | self._rows(self.own) | {"stop": np.array(stop)})

    def collect(self, metrics: dict[str, Floats]) -> tuple[dict[str, Floats], bool]:
        """Receives the reports of all others; returns metrics, `[num_seeds]`, and whether one is to stop; for process
        0.
        """
        parts, stop = [metrics], False
        for other in self.group.others:
            message = self.group.receive(other)
            self._set_rows(self.group.share(self.num_seeds, other), message)
            parts.append({name: message[f"metrics/{name}"] for name in metrics})
            stop |= bool(message["stop"])
        return {name: np.concatenate([part[name] for part in parts]) for name in metrics}, stop

    def announce(self, stop: bool) -> None:
        """Tells all others whether the training ends here; for process 0."""
        for other in self.group.others:
            self.group.send(other, {"stop": np.array(stop)})

    def is_told_to_stop(self) -> bool:
        """Returns what process 0 announces; for the other processes."""
        return bool(self.group.receive(0)["stop"])

    def _rows(self, seeds: range) -> Message:
        rows = slice(seeds.start, seeds.stop)
        return {f"states/{path}": leaf[rows] for path, leaf in leaf_paths(self.states).items()}

    def _set_rows(self, seeds: range, message: Message) -> None:
        for path, leaf in leaf_paths(self.states).items():
            leaf[seeds.start : seeds.stop] = message[f"states/{path}"]

    # ------------------------------------------------------------------ states

    def policy(self, seed: int, best: bool = False) -> Policy:
        """Returns one seed's present policy, or the one that `keep` stored last."""
        states = self.best if best else self.states.learned
        return self.setup.algorithm.policy(jax.tree.map(lambda leaf: jnp.asarray(leaf[seed]), states))

    def policies(self, best: bool = False) -> list[Policy]:
        """Returns the policy of every seed."""
        return [self.policy(seed, best) for seed in range(self.num_seeds)]

    def keep(self, seed: int) -> None:
        """Stores what one seed has learned as its best."""
        for whole, now in zip(jax.tree.leaves(self.best), jax.tree.leaves(self.states.learned), strict=True):
            whole[seed] = now[seed]

    def checkpoint(self, seconds: float, best_returns: Floats) -> Checkpoint:
        """Returns everything that the next update depends on."""
        states, best = (leaf_paths(jax.tree.map(np.copy, tree)) for tree in (self.states, self.best))
        return Checkpoint(self.evaluation, self.updates, seconds, states, best, best_returns.copy())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restores every seed from a checkpoint of this training, which `TrainingSetup` has checked."""
        self.evaluation, self.updates = checkpoint.evaluation, checkpoint.updates
        for tree, saved in ((self.states, checkpoint.states), (self.best, checkpoint.best)):
            for path, leaf in leaf_paths(tree).items():
                leaf[...] = saved[path]

    def find_failure(self, seed: int) -> str:
        """Returns a message that says what was not finite first in a seed that failed."""
        state = jax.tree.map(lambda leaf: jnp.asarray(leaf[seed]), self.states)
        return self.setup.algorithm.find_failure(self.setup.program, self.program.unpack(state))

    def failed(self) -> dict[int, int]:
        """Returns the update at which a seed met a number that is not finite, by seed."""
        return {seed: int(update) for seed, update in enumerate(self.states.failed) if update >= 0}


def _mean(parts: list[tuple[int, dict[str, float]]], name: str) -> float:
    """Returns the mean of a metric over the turns of a seed that have it, weighted by updates; NaN if none has it."""
    given = [(weight, float(values.get(name, math.nan))) for weight, values in parts]
    have = [(weight, value) for weight, value in given if weight and not math.isnan(value)]
    total = sum(weight for weight, _ in have)
    return sum(weight * value for weight, value in have) / total if total else math.nan


def schedule(num_seeds: int, places: int, updates: int) -> list[tuple[list[int], list[int]]]:
    """Returns rounds in which each place trains one seed, until each seed has made its updates.

    Returns:
        The seed of each place and its number of updates, by round.
    """
    turns = math.lcm(num_seeds, places) // num_seeds
    share = [updates // turns + (turn < updates % turns) for turn in range(turns)]
    taken = [0] * num_seeds
    rounds = []
    for first in range(0, num_seeds * turns, places):
        seeds = [(first + place) % num_seeds for place in range(places)]
        rounds.append((seeds, [share[taken[seed]] for seed in seeds]))
        for seed in seeds:
            taken[seed] += 1
    return rounds
