"""A training goes on from a checkpoint of its own, and what it packs keeps its kind."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from rexcli.errors import RexError
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.ppo import PPO
from rexcli.rl.training_setup import TrainingSetup, packed_shapes
from rexcli.system.paths import leaf_paths
from tests.rl.tiny import TINY, ToZero, tiny_program, tiny_system


@pytest.fixture(scope="module")
def ppo() -> PPO:
    return PPO(ToZero().bind(tiny_system()), TINY)


@pytest.fixture(scope="module")
def checkpoint(ppo: PPO) -> Checkpoint:
    """Of the smallest training, all zeros."""
    keys = jax.random.split(jax.random.key(0), TINY.num_seeds)
    states = jax.eval_shape(jax.vmap(lambda key: ppo.init(tiny_program(), key)), keys)

    def zeros(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        data = (
            jax.eval_shape(jax.random.key_data, leaf)
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            else leaf
        )
        return np.zeros(data.shape, data.dtype)

    arrays, best = (leaf_paths(jax.tree.map(zeros, tree)) for tree in (states, states.learned))
    return Checkpoint(1, 2, 0.5, arrays, best, np.zeros(TINY.num_seeds, np.float32))


def go_on(ppo: PPO, checkpoint: Checkpoint) -> TrainingSetup:
    return TrainingSetup(ppo, tiny_program(), tiny_program(), jax.random.key(0), start=checkpoint)


def test_a_checkpoint_of_the_training_fits(ppo: PPO, checkpoint: Checkpoint) -> None:
    go_on(ppo, checkpoint)


@pytest.mark.parametrize("part", ["states", "best"])
@pytest.mark.parametrize("change", ["missing", "shape", "type"])
def test_another_leaf_does_not(ppo: PPO, checkpoint: Checkpoint, part: str, change: str) -> None:
    leaves = dict(getattr(checkpoint, part))
    path = sorted(leaves)[-1]
    leaf = leaves.pop(path)
    if change != "missing":
        leaves[path] = leaf[:1] if change == "shape" else leaf.astype(np.int8)
    with pytest.raises(RexError, match="does not fit this training") as caught:
        go_on(ppo, replace(checkpoint, **{part: leaves}))
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evaluation": 1000}, "evaluation=1000, of 3"),
        ({"updates": 0}, "updates=0, of 6"),
        ({"updates": 7}, "updates=7, of 6"),
        ({"best_returns": np.zeros(5, np.float32)}, "best_returns"),
    ],
)
def test_another_length_does_not(ppo: PPO, checkpoint: Checkpoint, change: dict, said: str) -> None:
    with pytest.raises(RexError, match=said):
        go_on(ppo, replace(checkpoint, **change))


def test_a_class_that_looks_like_an_earlier_one_is_not_taken_for_it():
    """As where a project's nodes are imported anew; among this many, JAX would confuse about one in ten."""
    for _ in range(100):

        @struct.dataclass
        class Params:
            mass: jax.Array

        assert type(packed_shapes(Params(jax.ShapeDtypeStruct((), jnp.float32)))) is Params
