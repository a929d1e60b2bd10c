"""Plain sources of actions, and what each of them needs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import Box, RexError
from rexcli.rl.actions import make_controller
from tests.rl.choices import ToCentre, chosen
from tests.rl.tiny import ToZero, tiny_system


def test_constant_zero_and_random_actions_are_choices():
    task, program = chosen(ToCentre)
    system = program.system
    _, seen = jax.jit(lambda: program.reset(program.init(jax.random.key(0))))()
    for source, value, sent in (("zero", 0.5, [0, 0]), ("constant", 1, [1, 1]), ("constant", [2.0, 1.0], [2, 1])):
        output = make_controller(source, system, task, value=value)(seen)[1]
        assert output.dtype == jnp.int32
        np.testing.assert_array_equal(output, sent)
    draw = jax.jit(lambda seq: make_controller("random", system, task)(seen.replace(seq=seq))[1])
    assert {tuple(draw(seq).tolist()) for seq in range(100)} == {(x, y) for x in range(3) for y in range(2)}
    for bad in (0.5, 2, -1, [3, 0], [0, 1.5]):
        with pytest.raises(RexError, match=r"MultiDiscrete\(\[3, 2\]\); give whole numbers from 0 to \[2, 1\]"):
            make_controller("constant", system, task, value=bad)


class Unbounded(ToZero):
    @property
    def action_space(self):
        return Box([-np.inf], [np.inf])


@pytest.mark.parametrize(
    ("source", "task", "value", "message"),
    [
        ("policy", ToZero, 0.0, "action.source=policy: give policy=RUN"),
        ("random", None, 0.0, "the experiment has no env"),
        ("random", Unbounded, 0.0, "the action space has no bounds"),
        ("constant", None, [1.0], "give one number for all"),
        ("constant", ToZero, [1.0, 2.0], "an action has 1 numbers; give one, or 1"),
    ],
)
def test_a_source_that_lacks_what_it_needs_is_refused(source, task, value, message):
    bound = None if task is None else task().bind(tiny_system())
    with pytest.raises(RexError, match=message):
        make_controller(source, tiny_system(), bound, value=value)


def test_without_a_task_a_number_fills_what_the_supervisor_sends():
    for source, sent in (("constant", 0.5), ("zero", 0.0)):
        state, output = make_controller(source, tiny_system(), value=0.5)("as it was")
        assert state == "as it was"
        np.testing.assert_array_equal(output, np.full(1, sent, np.float32))
    assert make_controller("node", tiny_system()) is None
