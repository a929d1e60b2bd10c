"""Trains many seeds: the loop around the compiled updates, on the host.

One program runs one seed's updates and then an evaluation. On CPU every device runs it for a seed of its own, and
where seeds do not divide by devices they take turns, so that no core is idle; on an accelerator, seeds that share a
device run side by side. Between evaluations the whole state is plain arrays on the host.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rexcli.compiler.program import Program
from rexcli.config.schema import PPOSettings
from rexcli.errors import RexError
from rexcli.graph.paths import leaf_paths
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.environment import Environment
from rexcli.rl.evaluate import evaluate
from rexcli.rl.policy import Policy
from rexcli.rl.ppo import PPO, LearnerState, Metrics

PyTree = Any
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Progress:
    """How training stands after an evaluation.

    Attributes:
        evaluation: which, from 1 to `evaluations`.
        evaluations: how many there will be.
        updates, timesteps: of each seed, so far.
        seconds: since training began, without compilation.
        metrics: by name, `[num_seeds]`: under `train/` means over the updates since the last evaluation, under
            `eval/` means over the evaluation's episodes.
    """

    evaluation: int
    evaluations: int
    updates: int
    timesteps: int
    seconds: float
    metrics: dict[str, Floats]


@dataclass
class Training:
    """What training gave.

    Attributes:
        history: one entry an evaluation.
        policies: of each seed, as it was at the evaluation with the highest return.
        best_returns: mean return of that evaluation, `[num_seeds]`.
        compile_seconds, train_seconds: wall clock.
        timesteps: of all seeds together.
        interrupted: whether Ctrl-C ended it early; what is here is what was made until then.
        failed: by seed, the update that met a number that is not finite.
    """

    policies: list[Policy]
    best_returns: Floats
    history: list[Progress] = field(default_factory=list)
    compile_seconds: float = 0.0
    train_seconds: float = 0.0
    timesteps: int = 0
    interrupted: bool = False
    failed: dict[int, int] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """The seed whose policy had the highest return."""
        return int(np.nanargmax(np.where(np.isneginf(self.best_returns), -np.finfo(np.float32).max, self.best_returns)))

    @property
    def policy(self) -> Policy:
        """The best seed's."""
        return self.policies[self.best]

    @property
    def steps_per_second(self) -> float:
        """Environment steps of all seeds, without compilation."""
        return self.timesteps / self.train_seconds if self.train_seconds else 0.0

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of `metrics.csv`: one row for each evaluation and seed. The same seed gives the same."""
        names = sorted(self.history[0].metrics) if self.history else []
        rows = [
            [progress.timesteps, progress.updates, seed, *(float(progress.metrics[name][seed]) for name in names)]
            for progress in self.history
            for seed in range(len(self.best_returns))
        ]
        return ["timesteps", "updates", "seed", *names], rows


def train(
    program: Program,
    environment: Environment,
    settings: PPOSettings,
    rng: jax.Array,
    *,
    eval_seconds: float = 5.0,
    devices: Sequence[jax.Device] | None = None,
    on_compiled: Callable[[float], None] | None = None,
    on_evaluation: Callable[[Progress], None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    start: Checkpoint | None = None,
) -> Training:
    """Trains `num_seeds` policies.

    Args:
        program: where to train; its timeline is at least `eval_seconds` long.
        environment: the task, bound to the program's system.
        settings: of PPO.
        rng: PRNG key. The same key, settings and number of devices give the same numbers, bit for bit.
        eval_seconds: length of an evaluation's episodes.
        devices: that share the seeds; all if None.
        on_compiled: is told the seconds that compilation took.
        on_evaluation: is told how training stands.
        on_checkpoint: after that, is given all that it takes to go on from there.
        start: go on from here, with all else the same; the numbers are those of a training that never stopped.

    Raises:
        RexError: for settings that do not go together, or where no seed gave finite numbers.
    """
    began = time.perf_counter()
    ppo = PPO(environment, settings)
    crew = _Crew(ppo, program, rng, eval_seconds, list(devices or jax.devices()))
    training = Training(
        policies=[crew.policy(seed) for seed in range(settings.num_seeds)],
        best_returns=np.full(settings.num_seeds, -np.inf, np.float32),
        compile_seconds=time.perf_counter() - began,
    )
    if on_compiled:
        on_compiled(training.compile_seconds)
    evaluations = min(settings.num_evals, ppo.num_updates)
    began = time.perf_counter()
    made, done = 0, 0
    if start is not None:
        crew.restore(start)
        made, done = start.updates, start.evaluation
        began -= start.seconds
        training.best_returns = start.best_returns.copy()
        training.policies = [crew.policy(seed, best=True) for seed in range(settings.num_seeds)]
        training.timesteps = made * ppo.num_samples * settings.num_seeds
        training.train_seconds = start.seconds
    try:
        for evaluation in range(done + 1, evaluations + 1):
            until = round(ppo.num_updates * evaluation / evaluations)
            metrics = crew.advance(until - made)
            made = until
            training.train_seconds = time.perf_counter() - began
            training.timesteps = made * ppo.num_samples * settings.num_seeds
            training.failed = crew.failed()
            for seed, value in enumerate(metrics["eval/return_mean"]):
                if seed not in training.failed and value > training.best_returns[seed]:
                    crew.keep(seed)
                    training.policies[seed] = crew.policy(seed)
                    training.best_returns[seed] = value
            training.history.append(
                Progress(evaluation, evaluations, made, made * ppo.num_samples, training.train_seconds, metrics)
            )
            if on_evaluation:
                on_evaluation(training.history[-1])
            if on_checkpoint:
                on_checkpoint(crew.checkpoint(evaluation, made, training))
            if len(training.failed) == settings.num_seeds:
                raise RexError(
                    "training met numbers that are not finite in every seed, first in update "
                    f"{min(training.failed.values())}; look for NaN in observations and rewards, or lower ppo.lr"
                )
    except KeyboardInterrupt:
        training.interrupted = True
    return training


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


class _Crew:
    """All seeds' states, on the host, and the compiled program that moves them on."""

    def __init__(self, ppo: PPO, program: Program, rng: jax.Array, eval_seconds: float, devices: list[jax.Device]):
        self.ppo = ppo
        self.num_seeds = ppo.settings.num_seeds
        if devices[0].platform == "cpu":
            self.devices = devices[: self.num_seeds]
        else:
            self.devices = devices[: max(n for n in range(1, len(devices) + 1) if self.num_seeds % n == 0)]
        self.lanes = 1 if devices[0].platform == "cpu" else self.num_seeds // len(self.devices)
        mesh = Mesh(np.array(self.devices), ("seeds",))
        self.spread, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("seeds",), ()))
        self.program = jax.device_put(program, everywhere)

        keys = jax.random.split(rng, self.num_seeds)
        init = jax.jit(lambda program, keys: _pack(jax.lax.map(partial(ppo.init, program), keys)))
        self.keys = jax.tree.map(_is_key, jax.eval_shape(ppo.init, program, keys[0]))
        self.impl = jax.random.key_impl(rng)
        self.states = jax.tree.map(np.array, init(program, keys))
        self.best = jax.tree.map(np.copy, self.states)
        run = jax.shard_map(
            partial(self._lanes, eval_seconds=eval_seconds),
            mesh=mesh,
            in_specs=(PartitionSpec(), PartitionSpec("seeds"), PartitionSpec("seeds"), PartitionSpec("seeds")),
            out_specs=PartitionSpec("seeds"),
            check_vma=False,
        )
        width = len(self.devices) * self.lanes
        example = self._place(range(width), [1] * width, [False] * width)
        self.run = jax.jit(run, donate_argnums=1).lower(self.program, *example).compile()

    def _lanes(
        self, program: Program, packed: PyTree, updates: jax.Array, judge: jax.Array, eval_seconds: float
    ) -> PyTree:
        """The seeds of one device, each leaf with a leading `[lanes]`."""
        one = partial(self._one, program, eval_seconds=eval_seconds)
        if self.lanes > 1:
            return jax.vmap(one)(packed, updates, judge)
        # Not under vmap: batched matrix products are slow on CPU, and batched branches take both ways.
        packed, updates, judge = jax.tree.map(lambda leaf: leaf[0], (packed, updates, judge))
        return jax.tree.map(lambda leaf: leaf[None], one(packed, updates, judge))

    def _one(
        self, program: Program, packed: PyTree, updates: jax.Array, judge: jax.Array, eval_seconds: float
    ) -> tuple[PyTree, Metrics, Metrics]:
        """One seed: its updates, then, if `judge`, an evaluation (else zeros)."""
        ppo = self.ppo
        state, metrics = ppo.learn(program, self._unpack(packed), updates)
        rng = jax.random.fold_in(jax.random.fold_in(state.rng, 1), state.updates)

        def judged() -> Metrics:
            controller = ppo.policy(state).controller(ppo.environment)
            result = evaluate(
                program, ppo.environment, controller, rng, episodes=ppo.settings.num_eval_envs, seconds=eval_seconds
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
        """Some updates of every seed and an evaluation; returns metrics, `[num_seeds]`."""
        devices = len(self.devices) * self.lanes
        left = np.full(self.num_seeds, updates)
        parts: list[list[tuple[int, dict[str, float]]]] = [[] for _ in range(self.num_seeds)]
        for seeds, shares in schedule(self.num_seeds, devices, updates):
            left[seeds] -= shares
            judge = [bool(left[seed] == 0) for seed in seeds]
            states, metrics, evaluation = self.run(self.program, *self._place(seeds, shares, judge))
            for whole, part in zip(jax.tree.leaves(self.states), jax.tree.leaves(states), strict=True):
                whole[np.asarray(seeds)] = np.asarray(part)
            metrics, evaluation = jax.tree.map(np.asarray, (metrics, evaluation))
            for lane, seed in enumerate(seeds):
                values = {name: value[lane] for name, value in metrics.items()}
                if judge[lane]:
                    values |= {name: value[lane] for name, value in evaluation.items()}
                parts[seed].append((shares[lane], values))
        return {name: np.array([_mean(part, name) for part in parts], np.float32) for name in sorted(parts[0][-1][1])}

    def _unpack(self, packed: PyTree) -> LearnerState:
        """The inverse of `_pack`."""

        def unpack(leaf: jax.Array, is_key: bool) -> jax.Array:
            return jax.random.wrap_key_data(leaf, impl=self.impl) if is_key else leaf

        return jax.tree.map(unpack, packed, self.keys)

    def policy(self, seed: int, best: bool = False) -> Policy:
        """One seed's policy as it stands, or as `keep` last kept it."""
        states = self.best if best else self.states
        return self.ppo.policy(self._unpack(jax.tree.map(lambda leaf: jnp.asarray(leaf[seed]), states)))

    def keep(self, seed: int) -> None:
        """Notes one seed's state as its best."""
        for whole, now in zip(jax.tree.leaves(self.best), jax.tree.leaves(self.states), strict=True):
            whole[seed] = now[seed]

    def checkpoint(self, evaluation: int, updates: int, training: Training) -> Checkpoint:
        """All that the next update depends on."""
        states, best = (leaf_paths(jax.tree.map(np.copy, tree)) for tree in (self.states, self.best))
        seconds, returns = training.train_seconds, training.best_returns.copy()
        return Checkpoint(evaluation, updates, seconds, states, best, returns)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes every seed back to a checkpoint.

        Raises:
            RexError: if it is of another training.
        """
        for tree, saved in ((self.states, checkpoint.states), (self.best, checkpoint.best)):
            for path, leaf in leaf_paths(tree).items():
                there = saved.get(path)
                if there is None or (there.shape, there.dtype) != (leaf.shape, leaf.dtype):
                    raise RexError(
                        f"the checkpoint does not fit this training (at '{path}'); train again without resume"
                    )
                leaf[...] = there

    def failed(self) -> dict[int, int]:
        """The update at which a seed met a number that is not finite, by seed."""
        return {seed: int(update) for seed, update in enumerate(self.states.failed) if update >= 0}


def _mean(parts: list[tuple[int, dict[str, float]]], name: str) -> float:
    """Over the turns of a seed that have it, by their updates; an evaluation has one turn only."""
    have = [(weight, values[name]) for weight, values in parts if weight and not math.isnan(values.get(name, math.nan))]
    total = sum(weight for weight, _ in have)
    return sum(weight * value for weight, value in have) / total if total else math.nan


def _pack(state: PyTree) -> PyTree:
    """With PRNG keys as plain integers, which NumPy can hold."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, state)


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
