"""Trains many seeds: the loop around the compiled updates, on the host.

`rexcli.rl.seed_batch` has the seeds' states, and the program that moves them on.

A `ProcessGroup` of several processes shares the seeds. Process 0 runs `train`, all others `train_worker`: each trains
its own seeds, and after every evaluation process 0 has their states and metrics, and says whether training goes on. So
on CPU a seed's policy and its evaluations are the same, bit for bit, however many processes there are.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from rexcli import sizes
from rexcli.compiler.program import Program
from rexcli.config.schema import PPOSettings
from rexcli.errors import RexError
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.environment import Environment
from rexcli.rl.policy import Policy
from rexcli.rl.ppo import PPO
from rexcli.rl.process_group import ALONE, ProcessGroup
from rexcli.rl.seed_batch import SeedBatch, check_checkpoint

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
        interrupted: whether it was ended early; what is here is what was made until then.
        stopped_by: what ended it early: Ctrl-C, or SIGTERM.
        failed: by seed, the update that met a number that is not finite.
    """

    policies: list[Policy]
    best_returns: Floats
    history: list[Progress] = field(default_factory=list)
    compile_seconds: float = 0.0
    train_seconds: float = 0.0
    timesteps: int = 0
    interrupted: bool = False
    stopped_by: KeyboardInterrupt = field(default_factory=KeyboardInterrupt)
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


def check_size(ppo: PPO, program: Program, group: ProcessGroup = ALONE) -> None:
    """Refuses a training that does not fit into memory.

    Raises:
        RexError: with the settings that are too large.
    """
    settings, size, action = ppo.settings, ppo.observation_space.size, ppo.environment.action_space.size
    state = jax.eval_shape(lambda: program.init(jax.random.key(0)))
    environment = float(sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)))
    samples = 8.0 * ppo.num_samples * (size + 2 * action + 6)  # collected, and shuffled
    layers, units = settings.num_hidden_layers, settings.num_hidden_units
    widths = [size, *[units] * layers, action]
    network = 48.0 * sum(first * second for first, second in itertools.pairwise(widths))  # two, six times each
    seeds = len(group.share(settings.num_seeds))
    sizes.check(
        seeds * (2 * settings.num_envs * environment + network) + samples + settings.num_eval_envs * environment,
        f"{seeds} seeds of {settings.num_envs} environments x {settings.num_steps} steps, and networks of "
        f"{layers} x {units} units",
        "give fewer or smaller ones: ppo.num_seeds, ppo.num_envs, ppo.num_steps, ppo.num_eval_envs, "
        "ppo.num_hidden_units",
    )


def train(
    program: Program,
    environment: Environment,
    settings: PPOSettings,
    rng: jax.Array,
    *,
    evaluation: Program | None = None,
    eval_seconds: float = 5.0,
    devices: Sequence[jax.Device] | None = None,
    on_compiled: Callable[[float], None] | None = None,
    on_evaluation: Callable[[Progress], None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    start: Checkpoint | None = None,
    group: ProcessGroup = ALONE,
    stop: Callable[[], bool] | None = None,
) -> Training:
    """Trains `num_seeds` policies; with a group, leads it.

    Args:
        program: where to train; an episode of the task fits into its timeline.
        environment: the task, bound to the program's system.
        settings: of PPO.
        rng: PRNG key. The same key, settings and number of devices give the same numbers, bit for bit.
        evaluation: where to evaluate, the same system on a timeline of at least `eval_seconds`; `program` if None.
        eval_seconds: length of an evaluation's episodes.
        devices: of this process, that share its seeds; all if None.
        on_compiled: is told the seconds that compilation took.
        on_evaluation: is told how training stands.
        on_checkpoint: after that, is given all that it takes to go on from there.
        start: go on from here, with all else the same; the numbers are those of a training that never stopped.
        group: the processes that share the seeds; all but process 0 call `train_worker` with the same arguments.
        stop: is asked after each evaluation whether training is to end there, as on Ctrl-C.

    Raises:
        RexError: for settings that do not go together, a timeline that is too short, where no seed gave finite numbers,
            or of another process.
    """
    began = time.perf_counter()
    ppo = PPO(environment, settings)
    if start is not None:
        check_checkpoint(start, ppo, program, rng)
    batch = SeedBatch(
        ppo, program, evaluation or program, rng, eval_seconds, list(devices or jax.local_devices()), group
    )
    training = Training(
        policies=[batch.policy(seed) for seed in range(settings.num_seeds)],
        best_returns=np.full(settings.num_seeds, -np.inf, np.float32),
        compile_seconds=time.perf_counter() - began,
    )
    if on_compiled:
        on_compiled(training.compile_seconds)
    evaluations = min(settings.num_evals, ppo.num_updates)
    began = time.perf_counter()
    made, done = 0, 0
    if start is not None:
        batch.restore(start)
        made, done = start.updates, start.evaluation
        began -= start.seconds
        training.best_returns = start.best_returns.copy()
        training.policies = [batch.policy(seed, best=True) for seed in range(settings.num_seeds)]
        training.timesteps = made * ppo.num_samples * settings.num_seeds
        training.train_seconds = start.seconds
    batch.scatter(done, made)
    try:
        for number in range(done + 1, evaluations + 1):
            until = round(ppo.num_updates * number / evaluations)
            metrics, stopped = batch.collect(batch.advance(until - made))
            stopped |= stop is not None and stop()
            made = until
            training.train_seconds = time.perf_counter() - began
            training.timesteps = made * ppo.num_samples * settings.num_seeds
            training.failed = batch.failed()
            for seed, value in enumerate(metrics["eval/return_mean"]):
                if seed not in training.failed and value > training.best_returns[seed]:
                    batch.keep(seed)
                    training.policies[seed] = batch.policy(seed)
                    training.best_returns[seed] = value
            if len(training.failed) < settings.num_seeds:
                batch.announce(stopped)
            training.history.append(
                Progress(number, evaluations, made, made * ppo.num_samples, training.train_seconds, metrics)
            )
            if on_evaluation:
                on_evaluation(training.history[-1])
            if on_checkpoint:
                on_checkpoint(batch.checkpoint(number, made, training.train_seconds, training.best_returns))
            if len(training.failed) == settings.num_seeds:
                raise RexError(
                    "training met numbers that are not finite in every seed, first in update "
                    f"{min(training.failed.values())}; look for NaN in observations and rewards, or lower ppo.lr"
                )
            if stopped:
                training.interrupted = True
                break
    except KeyboardInterrupt as error:
        group.end(error)
        training.interrupted, training.stopped_by = True, error
    return training


def train_worker(
    program: Program,
    environment: Environment,
    settings: PPOSettings,
    rng: jax.Array,
    *,
    group: ProcessGroup,
    evaluation: Program | None = None,
    eval_seconds: float = 5.0,
    devices: Sequence[jax.Device] | None = None,
    stop: Callable[[], bool] | None = None,
) -> bool:
    """The part of a process that is not the first in a training which process 0 leads by `train`; see there.

    Returns:
        Whether training was stopped early.
    """
    ppo = PPO(environment, settings)
    batch = SeedBatch(
        ppo, program, evaluation or program, rng, eval_seconds, list(devices or jax.local_devices()), group
    )
    done, made = batch.take_over()
    evaluations = min(settings.num_evals, ppo.num_updates)
    for number in range(done + 1, evaluations + 1):
        until = round(ppo.num_updates * number / evaluations)
        batch.report(batch.advance(until - made), stop is not None and stop())
        made = until
        if batch.is_told_to_stop():
            return True
    return False
