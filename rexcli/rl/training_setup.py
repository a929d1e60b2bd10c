"""Defines the setup of a training: its algorithm, program, seeds and devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.rl.algorithm import Algorithm
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.process_group import ALONE, ProcessGroup
from rexcli.rl.vector_env import check_length
from rexcli.system.paths import leaf_paths
from rexcli.system.types import is_key

PyTree = Any


@dataclass(frozen=True)
class TrainingSetup:
    """A training before it starts. Errors in its setup are raised here, before anything is compiled.

    Attributes:
        algorithm: the learning algorithm, with its task.
        program: the program to train on, of the task's system; an episode of the task fits into its timeline.
        evaluation: the program for evaluations, of the same system on a timeline of at least `eval_seconds`.
        rng: PRNG key. The same key, settings and number of devices give the same numbers, bit for bit.
        eval_seconds: length of an evaluation's episodes.
        devices: the devices of this process that share its seeds; all by default.
        group: the processes that share the seeds. All others have the same setup, except for their number in the group.
        start: the checkpoint from which to resume, with the same setup; results are those of a training that never
            stopped.

    Raises:
        RexError: if a process has no seed, the training does not fit into memory, a timeline is too short, or the
            checkpoint is that of another training.
    """

    algorithm: Algorithm
    program: Program
    evaluation: Program
    rng: jax.Array
    eval_seconds: float = 5.0
    devices: Sequence[jax.Device] = field(default_factory=jax.local_devices)
    group: ProcessGroup = ALONE
    start: Checkpoint | None = None

    def __post_init__(self) -> None:
        self.group.check(self.num_seeds)
        if (shared := self.algorithm.devices_per_seed) > len(self.devices):
            raise RexError(
                f"ppo.devices_per_seed={shared}: this process trains on {len(self.devices)}; give that many or fewer, "
                "or more of compile.devices"
            )
        self.algorithm.check_size(self.program, len(self.group.share(self.num_seeds)))
        check_length(self.program, self.algorithm.environment)
        if self.start is not None:
            self._check_checkpoint(self.start)

    @property
    def num_seeds(self) -> int:
        """The number of policies that are trained, by all processes together."""
        return self.algorithm.settings.num_seeds

    @property
    def num_evaluations(self) -> int:
        """The number of evaluations of the whole training, at most one per update."""
        return min(self.algorithm.settings.num_evals, self.algorithm.num_updates)

    def evaluations(self, done: int = 0) -> list[tuple[int, int]]:
        """Returns the evaluations after the first `done`: the number of each, from 1, and the updates made
        before it.
        """
        updates, number = self.algorithm.num_updates, self.num_evaluations
        return [(each, round(updates * each / number)) for each in range(done + 1, number + 1)]

    def shares_program(self, other: TrainingSetup) -> bool:
        """Returns whether one compiled program can be used for both trainings, see `SeedProgram`."""
        return self.group is other.group is ALONE and self._fixed() == other._fixed()

    def has_room(self, trainings: int) -> bool:
        """Returns whether so many trainings like this one fit into memory together."""
        try:
            self.algorithm.check_size(self.program, trainings * self.num_seeds)
        except RexError:
            return False
        return True

    def _fixed(self) -> tuple[Any, ...]:
        """Returns everything that is fixed in the compiled `SeedProgram`."""
        algorithm = self.algorithm.given(dict.fromkeys(self.algorithm.numbers, jnp.float32(0.0)))
        leaves, structure = jax.tree.flatten((self.program, self.evaluation))
        on_cpu = self.devices[0].platform == "cpu"
        tables = [(leaf.shape, leaf.dtype) if on_cpu else id(leaf) for leaf in leaves]
        kind = type(algorithm), algorithm.settings, tuple(algorithm.numbers)
        return id(algorithm.environment), *kind, structure, tables, self.eval_seconds, list(self.devices)

    def _check_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Raises an error for a checkpoint of another length, or in which a leaf is missing or has another shape or
        type.
        """
        init = jax.vmap(partial(self.algorithm.init, self.program))
        states = jax.eval_shape(lambda keys: pack(init(keys)), jax.random.split(self.rng, self.num_seeds))
        for tree, saved in ((states, checkpoint.states), (states.learned, checkpoint.best)):
            for path, leaf in leaf_paths(tree).items():
                there = saved.get(path)
                if there is None or (there.shape, there.dtype) != (leaf.shape, leaf.dtype):
                    raise does_not_fit(path)
        if checkpoint.best_returns.shape != (self.num_seeds,):
            raise does_not_fit("best_returns")
        for name, number, most in (
            ("evaluation", checkpoint.evaluation, self.num_evaluations),
            ("updates", checkpoint.updates, self.algorithm.num_updates),
        ):
            if not 1 <= number <= most:
                raise does_not_fit(f"{name}={number}, of {most}")


def does_not_fit(where: str) -> RexError:
    return RexError(f"the checkpoint does not fit this training (at '{where}'); train again without resume")


def pack(state: PyTree) -> PyTree:
    """Returns the state with PRNG keys as plain integers, which NumPy can hold."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, state)


def packed_shapes(state: PyTree) -> PyTree:
    """Returns the shapes of `pack(state)` for a `state` of which only shapes are known.

    The function is a new one at each call: JAX looks up traces by the function and the structure of its arguments, and
    confuses dataclasses of different classes with equally many fields (`A(x)` and `B(y)`) whenever their hashes collide
    in a few bits. Nodes that were imported again, from another project, are such classes.
    """
    return jax.eval_shape(lambda state: pack(state), state)
