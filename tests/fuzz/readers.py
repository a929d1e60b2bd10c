"""Readers of files that no light command reads to the end, called as a command would call them."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.cli import errors
from rexcli.errors import RexError
from rexcli.rl import checkpoints
from rexcli.rl.policy import Policy
from rexcli.rl.ppo import PPO
from rexcli.rl.seed_batch import SeedBatch
from rexcli.rl.training_setup import TrainingSetup
from rexcli.runs.recording import read_recording
from tests.rl.tiny import TINY, ToZero, tiny_program, tiny_system


def read(reader: str, path: str) -> int:
    """Calls a reader; returns the exit code of a command that did so."""
    try:
        READERS[reader](Path(path))
    except Exception as error:
        return errors.report(error)
    return errors.DONE


def use_policy(folder: Path) -> None:
    """Loads a policy and lets it act."""
    policy = Policy.load(folder)
    space = policy.observation_space
    observation = jnp.zeros(policy.observation_size)
    if space is not None:
        observation = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), space.example)
    action = np.asarray(policy.action(observation))
    assert action.shape == (policy.action_space.size,) or action.ndim == 0
    policy.value(observation)
    policy.action(observation, jax.random.key(0))


@functools.cache
def tiny_crew() -> SeedBatch:
    """The seeds of the smallest training."""
    ppo = PPO(ToZero().bind(tiny_system()), TINY)
    program = tiny_program()
    return SeedBatch(TrainingSetup(ppo, program, program, jax.random.key(0), 0.5, jax.local_devices()[:1]))


def restore(folder: Path) -> None:
    """Takes the smallest training back to the newest checkpoint in a folder."""
    checkpoint = checkpoints.load_latest(folder)
    if checkpoint is not None:
        batch = tiny_crew()
        replace(batch.setup, start=checkpoint)  # refuses one that does not fit
        batch.restore(checkpoint)


def save(folder: Path) -> None:
    """Writes a checkpoint that `restore` takes."""
    batch = tiny_crew()
    batch.evaluation, batch.updates = 1, 2
    checkpoints.save(folder, batch.checkpoint(0.5, np.zeros(batch.num_seeds, np.float32)))


def use_recording(path: Path) -> None:
    """Asks a recording for all that it holds."""
    recording = read_recording(path)
    problems = []
    for node in recording.spec.nodes:
        try:
            recording.counts(node.name)
            for field in recording.fields(node.name):
                recording.values(node.name, field)
        except RexError as error:
            problems.append(error)
    recording.timeline()
    if problems:
        raise problems[0]


READERS = {"policy": use_policy, "checkpoint": restore, "recording": use_recording, "save": save}
"""By the first word of a case."""
