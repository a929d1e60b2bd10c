"""Values by name take the place of leaves, and of nothing else; what is no leaf and no fitting value is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import Node, NodeSpec, RexError, System
from rexcli.system.init import init_graph_state
from rexcli.system.parameters import flat, nested, with_values

TREE = {"mass": jnp.float32(1.0), "motor": {"gains": jnp.array([1.0, 2.0]), "poles": jnp.int32(4)}}


def test_values_take_the_place_of_leaves() -> None:
    changed = with_values(TREE, {"motor": {"gains": [3.0, 4.0], "poles": 6}, "mass": 2}, "params")
    assert float(changed["mass"]) == 2.0
    assert changed["motor"]["poles"].dtype == jnp.int32
    assert np.array_equal(changed["motor"]["gains"], [3.0, 4.0])
    assert np.array_equal(with_values(TREE, {"motor.gains": 5.0}, "params")["motor"]["gains"], [5.0, 5.0])
    assert float(with_values(jnp.float32(1.0), {"": 7.0}, "params")) == 7.0
    assert flat(nested({"a.b": 1, "a.c.d": 2, "e": 3})) == {"a.b": 1, "a.c.d": 2, "e": 3}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mas": 1.0}, "params: there is no 'mas'; did you mean 'mass'"),
        ({"motor": {"gains": [1.0]}}, r"params.motor.gains=\[1.0\]: its shape is \(1,\)"),
        ({"motor": {"poles": 4.5}}, "params.motor.poles=4.5: give what int32 can hold"),
        ({"mass": "heavy"}, "params.mass=heavy: give a number"),
        ({"mass": float("nan")}, "params.mass=nan: give what float32 can hold"),
    ],
)
def test_what_does_not_fit_is_refused(values, message) -> None:
    with pytest.raises(RexError, match=message):
        with_values(TREE, values, "params")


class Body(Node):
    def init_params(self, rng, graph_state):
        return {"mass": 1.0, "drag": 0.5}

    def init_state(self, rng, graph_state):
        return graph_state.params[self.name]["mass"]

    def step(self, step_state):
        return step_state, step_state.params["mass"]


def test_a_node_has_the_declared_parameters() -> None:
    system = System([(NodeSpec("body", 10.0, params={"mass": 3.0}), Body())], [], "body")
    state = init_graph_state(system, jax.random.key(0))
    assert float(state.params["body"]["mass"]) == float(state.state["body"]) == 3.0
    assert float(state.params["body"]["drag"]) == 0.5
    given = init_graph_state(system, jax.random.key(0), {"body": {"mass": 4.0, "drag": 0.0}})
    assert float(given.params["body"]["mass"]) == 4.0
