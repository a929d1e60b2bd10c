"""What nodes keep together is what each keeps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.compiler import stacked_nodes
from rexcli.system.states import GraphState

CARS = ("a", "b", "c", "d")
RINGS = {"a": 1, "b": 2, "c": 1, "d": 3, "hub": 2}


def keep() -> GraphState:
    names = (*CARS, "hub")
    return GraphState(
        eps=jnp.int32(0),
        step=jnp.int32(0),
        origin=jnp.int32(0),
        rng={name: jax.random.key(place) for place, name in enumerate(names)},
        params=dict.fromkeys(names, ()),
        delays={},
        state={name: {"x": jnp.full(2, float(place))} for place, name in enumerate(names)},
        outputs={name: jnp.arange(10.0 * p, 10.0 * p + RINGS[name] + 1) for p, name in enumerate(names)},
    )


def same(one: GraphState, other: GraphState) -> None:
    plain = [
        [jax.random.key_data(leaf) if leaf.dtype == jax.random.key(0).dtype else leaf for leaf in jax.tree.leaves(each)]
        for each in (one, other)
    ]
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for leaf, twin in zip(*plain, strict=True):
        np.testing.assert_array_equal(leaf, twin)


def test_what_is_gathered_is_parted_again() -> None:
    state = keep()
    gathered = stacked_nodes.stack_nodes(state, (CARS,))
    assert len(jax.tree.leaves(gathered)) < len(jax.tree.leaves(state))
    same(stacked_nodes.unstack_nodes(gathered, RINGS), state)
    assert sorted(gathered.state) == sorted(state.state)
    assert len(gathered.state) == 5


@pytest.mark.parametrize("names", [CARS, ("c", "b"), ("d", "hub")])
def test_rows_read_and_written_are_those_of_each_node(names: tuple[str, ...]) -> None:
    state = keep()
    gathered = stacked_nodes.stack_nodes(state, (CARS,))
    new, at = jnp.arange(100.0, 100.0 + len(names)), jnp.arange(len(names)) % 2
    for each in (state, gathered):
        found = stacked_nodes.rows(each.state, names)["x"]
        np.testing.assert_array_equal(found, jnp.stack([state.state[name]["x"] for name in names]))
    done = [
        each.replace(
            state=stacked_nodes.with_rows(each.state, names, {"x": jnp.stack([new, new], axis=1)}),
            outputs=stacked_nodes.write_rows(each.outputs, names, new, at),
        )
        for each in (state, gathered)
    ]
    same(stacked_nodes.unstack_nodes(done[1], RINGS), done[0])
    rings, begins = stacked_nodes.pooled(done[1].outputs, names)
    for name, entry, value in zip(names, at, new, strict=True):
        assert jnp.concatenate(rings)[begins[name] + entry] == value
