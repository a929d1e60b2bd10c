"""What a loop gave packed is what it would have given unpacked."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.compiler.packing import SMALL, Packing


def test_what_is_packed_a_turn_at_a_time_comes_back_stacked():
    def turn(k):
        return {
            "small": (jnp.float32(k), jnp.arange(6.0).reshape(2, 3) + k),
            "count": jnp.int32(k),
            "large": jnp.full(SMALL + 1, k, jnp.float32),
            "empty": jnp.zeros((0, 2)),
        }

    turns, packing = [turn(k) for k in range(4)], Packing()
    packed = [packing.pack(each) for each in turns]
    assert [array.dtype for array in packed[0]] == [jnp.int32, jnp.float32, jnp.float32], (
        "one a type, and the large one"
    )
    again = packing.unpack([jnp.stack(arrays) for arrays in zip(*packed, strict=True)])
    want = jax.tree.map(lambda *leaves: np.stack(leaves), *turns)
    jax.tree.map(np.testing.assert_array_equal, again, want)
    assert jax.tree.map(lambda leaf: leaf.dtype, again) == jax.tree.map(lambda leaf: leaf.dtype, want)
