"""The seeds of a training: their states, on the host, and the one compiled program that moves them on.

The program runs one seed's updates and then an evaluation. On CPU every device runs it for a seed of its own, and
where seeds do not divide by devices they take turns, so that no core is idle; on an accelerator, seeds that share a
device run side by side. Between evaluations the whole state is plain arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.evaluate import evaluate
from rexcli.rl.policy import Policy
from rexcli.rl.ppo import PPO, LearnerState, Metrics, evaluation_key, learned
from rexcli.rl.process_group import Message, ProcessGroup
from rexcli.rl.vector_env import check_length
from rexcli.system.paths import leaf_paths
from rexcli.system.types import is_key

PyTree = Any
Floats = npt.NDArray[np.float32]
Programs = tuple[Program, Program]
"""Where seeds train, and where they are evaluated."""


class SeedBatch:
    """All seeds' states, on the host, and the compiled program that moves this process's own on."""

    def __init__(
        self,
        ppo: PPO,
        program: Program,
        evaluation: Program,
        rng: jax.Array,
        eval_seconds: float,
        devices: list[jax.Device],
        group: ProcessGroup,
    ):
        check_length(program, ppo.environment)
        self.ppo = ppo
        self.num_seeds = ppo.settings.num_seeds
        self.group = group
        self.own = group.share(self.num_seeds)
        if devices[0].platform == "cpu":
            self.devices = devices[: len(self.own)]
        else:
            self.devices = devices[: max(n for n in range(1, len(devices) + 1) if len(self.own) % n == 0)]
        self.seeds_per_device = 1 if devices[0].platform == "cpu" else len(self.own) // len(self.devices)
        mesh = Mesh(np.array(self.devices), ("seeds",))
        self.spread, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("seeds",), ()))
        self.programs = jax.device_put((program, evaluation), everywhere)

        # Every process starts all seeds: a loop over fewer would be another program, with other last digits.
        keys = jax.random.split(rng, self.num_seeds)
        start = jax.jit(lambda program, keys: jax.lax.map(partial(ppo.init, program), keys)).trace(program, keys)
        self.keys = jax.tree.map(is_key, start.out_info)
        self.impl = jax.random.key_impl(rng)
        run = jax.shard_map(
            partial(self._seeds_of_device, eval_seconds=eval_seconds),
            mesh=mesh,
            in_specs=(PartitionSpec(), PartitionSpec("seeds"), PartitionSpec("seeds"), PartitionSpec("seeds")),
            out_specs=PartitionSpec("seeds"),
            check_vma=False,
        )
        example = self._example(jax.eval_shape(_pack, start.out_info))
        with ThreadPoolExecutor(1) as beside:  # XLA compiles the start while the updates are traced
            starting = beside.submit(start.lower().compile)
            self.run = jax.jit(run, donate_argnums=1).lower(self.programs, *example).compile()
            self.states = jax.tree.map(np.array, _pack(starting.result()(program, keys)))
        self.best = jax.tree.map(np.copy, learned(self.states))

    def _example(self, states: PyTree) -> PyTree:
        """The shapes of what `run` takes beside the program, of all seeds' `states`."""
        width = len(self.devices) * self.seeds_per_device

        def some(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((width, *leaf.shape[1:]), leaf.dtype, sharding=self.spread)

        numbers = (jax.ShapeDtypeStruct((width,), kind) for kind in (jnp.int32, jnp.bool_))
        return jax.tree.map(some, (states, *numbers))

    def _seeds_of_device(
        self, programs: Programs, packed: PyTree, updates: jax.Array, judge: jax.Array, eval_seconds: float
    ) -> PyTree:
        """The seeds of one device, each leaf with a leading `[seeds]`."""
        one = partial(self._one, programs, eval_seconds=eval_seconds)
        if self.seeds_per_device > 1:
            return jax.vmap(one)(packed, updates, judge)
        # Not under vmap: batched matrix products are slow on CPU, and batched branches take both ways.
        packed, updates, judge = jax.tree.map(lambda leaf: leaf[0], (packed, updates, judge))
        return jax.tree.map(lambda leaf: leaf[None], one(packed, updates, judge))

    def _one(
        self, programs: Programs, packed: PyTree, updates: jax.Array, judge: jax.Array, eval_seconds: float
    ) -> tuple[PyTree, Metrics, Metrics]:
        """One seed: its updates, then, if `judge`, an evaluation (else zeros)."""
        ppo = self.ppo
        program, evaluation = programs
        state, metrics = ppo.learn(program, self._unpack(packed), updates)
        rng = evaluation_key(state)

        def judged() -> Metrics:
            controller = ppo.policy(learned(state)).controller(ppo.environment)
            result = evaluate(
                evaluation, ppo.environment, controller, rng, episodes=ppo.settings.num_eval_envs, seconds=eval_seconds
            )
            columns = {"return_mean": result.returns, "length_mean": result.lengths, **result.summary}
            means = {f"eval/{name}": value.astype(jnp.float32).mean() for name, value in columns.items()}
            return means | {"eval/return_std": result.returns.std()}

        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(judged))
        metrics = {f"train/{name}": value for name, value in metrics.items()}
        return _pack(state), metrics, jax.lax.cond(judge, judged, lambda: nothing)

    def _place(self, seeds: Sequence[int], updates: Sequence[int], judge: Sequence[bool]) -> tuple[PyTree, ...]:
        rows = jax.tree.map(lambda leaf: leaf[np.asarray(seeds)], self.states)
        return jax.device_put((rows, np.array(updates, np.int32), np.array(judge)), self.spread)

    def advance(self, updates: int) -> dict[str, Floats]:
        """Some updates of every own seed and an evaluation; returns metrics, `[own seeds]`."""
        together = len(self.devices) * self.seeds_per_device
        left = np.full(self.num_seeds, updates)
        parts: dict[int, list[tuple[int, dict[str, float]]]] = {seed: [] for seed in self.own}
        for turns, shares in schedule(len(self.own), together, updates):
            seeds = [self.own[turn] for turn in turns]
            left[seeds] -= shares
            judge = [bool(left[seed] == 0) for seed in seeds]
            states, metrics, evaluation = self.run(self.programs, *self._place(seeds, shares, judge))
            for whole, part in zip(jax.tree.leaves(self.states), jax.tree.leaves(states), strict=True):
                whole[np.asarray(seeds)] = np.asarray(part)
            metrics, evaluation = jax.tree.map(np.asarray, (metrics, evaluation))
            for place, seed in enumerate(seeds):
                values = {name: value[place] for name, value in metrics.items()}
                if judge[place]:
                    values |= {name: value[place] for name, value in evaluation.items()}
                parts[seed].append((shares[place], values))
        names = sorted(parts[self.own[0]][-1][1])
        return {name: np.array([_mean(part, name) for part in parts.values()], np.float32) for name in names}

    # ------------------------------------------------------------------ with other processes

    def scatter(self, evaluation: int, updates: int) -> None:
        """Process 0: tells the others where training stands, and how their seeds do."""
        for other in self.group.others:
            position = {"evaluation": np.array(evaluation), "updates": np.array(updates)}
            self.group.send(other, position | self._rows(self.group.share(self.num_seeds, other)))

    def take_over(self) -> tuple[int, int]:
        """The others: takes what `scatter` sent; returns how many evaluations and updates were made."""
        message = self.group.receive(0)
        self._set_rows(self.own, message)
        return int(message["evaluation"]), int(message["updates"])

    def report(self, metrics: dict[str, Floats], stop: bool) -> None:
        """The others: sends what came of `advance`, and whether this process was asked to stop."""
        told = {f"metrics/{name}": values for name, values in metrics.items()}
        self.group.send(0, told | self._rows(self.own) | {"stop": np.array(stop)})

    def collect(self, metrics: dict[str, Floats]) -> tuple[dict[str, Floats], bool]:
        """Process 0: takes what all others report; returns metrics, `[num_seeds]`, and whether one is to stop."""
        parts, stop = [metrics], False
        for other in self.group.others:
            message = self.group.receive(other)
            self._set_rows(self.group.share(self.num_seeds, other), message)
            parts.append({name: message[f"metrics/{name}"] for name in metrics})
            stop |= bool(message["stop"])
        return {name: np.concatenate([part[name] for part in parts]) for name in metrics}, stop

    def announce(self, stop: bool) -> None:
        """Process 0: tells all others whether training ends here."""
        for other in self.group.others:
            self.group.send(other, {"stop": np.array(stop)})

    def is_told_to_stop(self) -> bool:
        """The others: what process 0 announces."""
        return bool(self.group.receive(0)["stop"])

    def _rows(self, seeds: range) -> Message:
        rows = slice(seeds.start, seeds.stop)
        return {f"states/{path}": leaf[rows] for path, leaf in leaf_paths(self.states).items()}

    def _set_rows(self, seeds: range, message: Message) -> None:
        for path, leaf in leaf_paths(self.states).items():
            leaf[seeds.start : seeds.stop] = message[f"states/{path}"]

    # ------------------------------------------------------------------ states

    def _unpack(self, packed: PyTree) -> LearnerState:
        """The inverse of `_pack`."""

        def unpack(leaf: jax.Array, typed: bool) -> jax.Array:
            return jax.random.wrap_key_data(leaf, impl=self.impl) if typed else leaf

        return jax.tree.map(unpack, packed, self.keys)

    def policy(self, seed: int, best: bool = False) -> Policy:
        """One seed's policy as it stands, or as `keep` last kept it."""
        states = self.best if best else learned(self.states)
        return self.ppo.policy(jax.tree.map(lambda leaf: jnp.asarray(leaf[seed]), states))

    def keep(self, seed: int) -> None:
        """Notes what one seed has learned as its best."""
        for whole, now in zip(jax.tree.leaves(self.best), jax.tree.leaves(learned(self.states)), strict=True):
            whole[seed] = now[seed]

    def checkpoint(self, evaluation: int, updates: int, seconds: float, best_returns: Floats) -> Checkpoint:
        """All that the next update depends on."""
        states, best = (leaf_paths(jax.tree.map(np.copy, tree)) for tree in (self.states, self.best))
        return Checkpoint(evaluation, updates, seconds, states, best, best_returns.copy())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes every seed back to a checkpoint.

        Raises:
            RexError: if it is of another training.
        """
        _check_leaves(self.states, self.best, checkpoint)
        for tree, saved in ((self.states, checkpoint.states), (self.best, checkpoint.best)):
            for path, leaf in leaf_paths(tree).items():
                leaf[...] = saved[path]

    def failed(self) -> dict[int, int]:
        """The update at which a seed met a number that is not finite, by seed."""
        return {seed: int(update) for seed, update in enumerate(self.states.failed) if update >= 0}


def check_checkpoint(checkpoint: Checkpoint, ppo: PPO, program: Program, rng: jax.Array) -> None:
    """Refuses a checkpoint of another training, before anything is compiled.

    Raises:
        RexError: with what does not fit.
    """
    seeds, evaluations = ppo.settings.num_seeds, min(ppo.settings.num_evals, ppo.num_updates)
    keys = jax.random.split(rng, seeds)
    states = jax.eval_shape(lambda program, keys: _pack(jax.vmap(partial(ppo.init, program))(keys)), program, keys)
    _check_leaves(states, learned(states), checkpoint)
    if checkpoint.best_returns.shape != (seeds,):
        raise _does_not_fit("best_returns")
    for name, number, most in (
        ("evaluation", checkpoint.evaluation, evaluations),
        ("updates", checkpoint.updates, ppo.num_updates),
    ):
        if not 1 <= number <= most:
            raise _does_not_fit(f"{name}={number}, of {most}")


def _check_leaves(states: PyTree, best: PyTree, checkpoint: Checkpoint) -> None:
    """Every leaf is there, of its shape and type."""
    for tree, saved in ((states, checkpoint.states), (best, checkpoint.best)):
        for path, leaf in leaf_paths(tree).items():
            there = saved.get(path)
            if there is None or (there.shape, there.dtype) != (leaf.shape, leaf.dtype):
                raise _does_not_fit(path)


def _does_not_fit(where: str) -> RexError:
    return RexError(f"the checkpoint does not fit this training (at '{where}'); train again without resume")


def _mean(parts: list[tuple[int, dict[str, float]]], name: str) -> float:
    """Over the turns of a seed that have it, by their updates; an evaluation has one turn only."""
    given = [(weight, float(values.get(name, math.nan))) for weight, values in parts]
    have = [(weight, value) for weight, value in given if weight and not math.isnan(value)]
    total = sum(weight for weight, _ in have)
    return sum(weight * value for weight, value in have) / total if total else math.nan


def _pack(state: PyTree) -> PyTree:
    """With PRNG keys as plain integers, which NumPy can hold."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, state)


def schedule(num_seeds: int, devices: int, updates: int) -> list[tuple[list[int], list[int]]]:
    """Who trains when: rounds in which each device takes one seed, until each seed has made its updates.

    Returns:
        By round, the seed of each device and how many updates it makes.
    """
    turns = math.lcm(num_seeds, devices) // num_seeds
    share = [updates // turns + (turn < updates % turns) for turn in range(turns)]
    taken = [0] * num_seeds
    rounds = []
    for first in range(0, num_seeds * turns, devices):
        seeds = [(first + device) % num_seeds for device in range(devices)]
        rounds.append((seeds, [share[taken[seed]] for seed in seeds]))
        for seed in seeds:
            taken[seed] += 1
    return rounds
