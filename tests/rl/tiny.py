"""The smallest system with a loop: a world that moves as it is told, an agent, and a task of a few lines."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from rexcli import Environment, Node
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.config.schema import PPOSettings
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.ppo import PPO
from rexcli.rl.process_group import ALONE, ProcessGroup
from rexcli.rl.train import Training, train
from rexcli.rl.training_setup import TrainingSetup
from rexcli.system.delays import Constant
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.simulate import simulate


class World(Node):
    """Moves by the action; starts anywhere within ±1."""

    def init_state(self, rng, graph_state):
        return jax.random.uniform(rng, (1,), minval=-1.0)

    def init_output(self, rng, graph_state):
        return graph_state.state["world"]

    def step(self, step_state):
        place = step_state.state + 0.1 * step_state.inputs["agent"][-1].data
        return step_state.replace(state=place), place


class Agent(Node):
    def init_output(self, rng, graph_state):
        return jnp.zeros(1)

    def step(self, step_state):
        return step_state, jnp.zeros(1)


class ToZero(Environment):
    """Nothing but a reward: the rest is default."""

    seconds = 0.5

    def reward(self, graph_state):
        return -jnp.abs(graph_state.state["world"][0])


class Constantly(Environment):
    """Earns 1 a step while the world stays where it is; ends after one step to the right of 0, never to the left."""

    seconds = 0.5

    def act(self, step_state, action):
        return step_state, jnp.zeros(1)

    def reward(self, graph_state):
        return 1.0

    def terminated(self, graph_state):
        return graph_state.state["world"][0] > 0


@functools.cache
def tiny_system() -> System:
    nodes = [(NodeSpec("world", 10, delay=Constant(0.01)), World()), (NodeSpec("agent", 10), Agent())]
    edges = [
        Edge("world_agent", "world", "agent", "world", blocking=True),
        Edge("agent_world", "agent", "world", "agent", skip=True),
    ]
    return System(nodes, edges, "agent")


@functools.cache
def tiny_program(episodes: int = 2, steps: int = 12) -> Program:
    system = tiny_system()

    def sample(kind, name, ticks):
        return system.sample_delays(kind, name, 0, episodes, ticks)

    return Program(
        system, make_plan(simulate(system.timing, sample, episodes=episodes, steps=steps), observed=("world",))
    )


TINY = PPOSettings(
    lr=3e-3,
    num_envs=8,
    num_steps=16,
    total_timesteps=8 * 16 * 6,
    update_epochs=2,
    num_minibatches=4,
    num_hidden_units=8,
    num_seeds=2,
    num_evals=3,
    num_eval_envs=4,
)
"""Six updates of 128 steps."""


def train_tiny(
    task: Environment | None = None,
    settings: PPOSettings = TINY,
    key: int = 0,
    *,
    start: Checkpoint | None = None,
    group: ProcessGroup = ALONE,
    program: Program | None = None,
    **callbacks: Any,
) -> Training:
    """Trains on the tiny program, or another; in a group, as its first process."""
    return train(tiny_setup(task, settings, key, start=start, group=group, program=program), **callbacks)


def tiny_setup(
    task: Environment | None = None,
    settings: PPOSettings = TINY,
    key: int = 0,
    *,
    program: Program | None = None,
    **options: Any,
) -> TrainingSetup:
    program = program or tiny_program()
    ppo = PPO(task or ToZero().bind(tiny_system()), settings)
    return TrainingSetup(ppo, program, program, jax.random.key(key), 1.0, **options)


def table(training: Training) -> tuple[list[str], list[list[Any]]]:
    """Columns, and a row for each evaluation and seed: all that training told."""
    names = sorted(training.history[0].metrics)
    rows = [
        [progress.timesteps, progress.updates, seed, *(float(progress.metrics[name][seed]) for name in names)]
        for progress in training.history
        for seed in range(len(training.best_returns))
    ]
    return ["timesteps", "updates", "seed", *names], rows
