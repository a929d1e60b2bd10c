"""Many rollouts at once equal one by one, on one device and on several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from rexcli.compiler.program import Program
from rexcli.compiler.rollouts import Rollouts, compile_rollouts, kept_sizes, rollout_arrays, thinned
from rexcli.errors import RexError
from rexcli.system.states import StepState
from tests.compiler import three_nodes

KEEP = {"world": ("state",), "agent": ("output",)}


def run_rollouts(program: Program, rng: jax.Array, num: int, **options: Any) -> Rollouts:
    return compile_rollouts(program, rng, num, **options).run(rng)


@pytest.fixture(scope="module")
def rollouts():
    return run_rollouts(three_nodes.program(), jax.random.key(5), 7, keep=KEEP)


def test_they_equal_one_by_one(rollouts):
    program, key = three_nodes.program(), jax.random.key(5)

    @jax.jit
    def one(index, eps):
        state, _ = program.reset(program.init(jax.random.fold_in(key, index), eps=eps))
        return program.rollout(state, keep=KEEP)[1]

    np.testing.assert_array_equal(rollouts.episode, [0, 1, 2, 0, 1, 2, 0])
    assert rollouts.num == 7
    assert rollouts.steps == three_nodes.STEPS
    for i, eps in enumerate(rollouts.episode):
        record = one(i, eps)
        for name, node in rollouts.record.items():
            np.testing.assert_array_equal(node.seq[eps], record[name].seq)
            np.testing.assert_array_equal(node.ts[eps], record[name].ts)
            for got, want in zip(jax.tree.leaves(node.fields), jax.tree.leaves(record[name].fields), strict=True):
                np.testing.assert_allclose(got[i], want, rtol=2e-5, atol=2e-5)


def test_arrays_are_named_by_node_field_and_key_path(rollouts):
    arrays = rollout_arrays(rollouts, 5)
    assert set(arrays) == {
        "episode",
        *("world/seq", "world/ts", "world/state/value", "world/state/count"),
        *("agent/seq", "agent/ts", "agent/output/value", "agent/output/count"),
    }
    np.testing.assert_array_equal(arrays["episode"], [0, 1, 2, 0, 1])
    assert arrays["agent/output/value"].shape == (5, three_nodes.STEPS, 2)
    record = rollouts.record["world"]
    for place, episode in enumerate(arrays["episode"]):
        ran = np.asarray(record.seq[episode]) >= 0
        there = arrays["world/seq"][place] >= 0
        assert not (there[1:] & ~there[:-1]).any()  # what ran comes first
        np.testing.assert_array_equal(arrays["world/seq"][place][there], record.seq[episode][ran])
        np.testing.assert_array_equal(arrays["world/ts"][place][there], record.ts[episode][ran])
        values = record.fields["state"].value[place]
        np.testing.assert_array_equal(arrays["world/state/value"][place][there], values[ran])
    assert (arrays["world/seq"] >= 0).any(axis=0).all()  # no column is empty


class Scaled(struct.PyTreeNode):
    """A controller whose numbers are data."""

    gain: jax.Array

    def __call__(self, step_state: StepState):
        step_state, output = three_nodes.program().system.nodes["agent"].step(step_state)
        return step_state, output.replace(value=self.gain * output.value)


@pytest.mark.slow
def test_other_numbers_of_a_controller_run_by_code_that_was_compiled_before():
    program, key = three_nodes.program(), jax.random.key(5)

    def values(compiled):
        return compiled.run(key).record["agent"].fields["output"].value

    def compiled(gain, **options):
        controller = Scaled(jnp.float32(gain))
        return compile_rollouts(program, key, 3, controller=controller, keep={"agent": ("output",)}, **options)

    first = compiled(1.0)
    again = compiled(2.0, like=first)
    assert again._compiled is first._compiled
    np.testing.assert_array_equal(values(again), values(compiled(2.0)))
    assert not np.array_equal(values(again), values(first))
    assert compiled(2.0, like=first, steps=2)._compiled is not first._compiled
    own = compile_rollouts(program, key, 3, keep={"agent": ("output",)}, like=first)
    assert own._compiled is not first._compiled


@pytest.mark.slow
def test_how_many_there_are_changes_none_of_them(rollouts):
    fewer = run_rollouts(three_nodes.program(), jax.random.key(5), 2, steps=4, keep={"agent": ("output",)})
    np.testing.assert_allclose(
        fewer.record["agent"].fields["output"].value,
        rollouts.record["agent"].fields["output"].value[:2, :4],
        rtol=2e-5,
        atol=2e-5,
    )


def test_what_is_kept_is_thinned_from_the_largest_on(rollouts):
    program = three_nodes.program()
    keep = {"world": ("state", "output"), "agent": ("output", "inputs")}
    sizes = kept_sizes(program, keep=keep)
    # As many bytes as there really are: of an entry of each slot.
    held = sum(leaf[0].nbytes / three_nodes.STEPS for leaf in jax.tree.leaves(rollouts.record["world"].fields["state"]))
    assert sizes["world", "state"] == held
    total = 2 * 10 * sum(sizes.values())
    assert thinned(program, 2, 10, keep, total) == (keep, {})
    left, out = thinned(program, 2, 10, keep, total - 1)
    largest = max(sizes, key=sizes.__getitem__)
    assert out == {largest: 20.0 * sizes[largest]}
    assert largest[1] not in left[largest[0]]
    assert thinned(program, 2, 10, keep, 0.5)[0] == {"world": (), "agent": ()}


def test_parameters_and_controller_come_from_outside():
    def still(step_state):
        output = {"value": jnp.zeros(2), "count": jnp.int32(9)}
        return step_state, type(three_nodes.program().init(jax.random.key(0)).outputs["agent"])(**output)

    made = run_rollouts(
        three_nodes.program(),
        jax.random.key(5),
        2,
        params={"world": jnp.float32(0.25)},
        controller=still,
        keep={"world": ("params",), "agent": ("output",)},
    )
    assert (np.asarray(made.record["world"].fields["params"]) == 0.25).all()
    assert (np.asarray(made.record["agent"].fields["output"].count) == 9).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(RexError, match="num 0"):
        run_rollouts(three_nodes.program(), jax.random.key(0), 0)
    with pytest.raises(RexError, match=f"steps 99: the timeline offers 1 to {three_nodes.STEPS} steps"):
        run_rollouts(three_nodes.program(), jax.random.key(0), 1, steps=99)


ON_TWO_DEVICES = """
import json, jax, numpy as np
from tests.compiler import three_nodes
from tests.compiler.test_rollouts import KEEP, run_rollouts
made = run_rollouts(three_nodes.program(), jax.random.key(5), 7, keep=KEEP)
values = np.asarray(made.record["world"].fields["state"].value)
print(json.dumps({"devices": made.devices, "values": values.tolist()}))
"""


@pytest.mark.slow
def test_several_devices_equal_one(rollouts):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("XLA_FLAGS", None)
    done = subprocess.run(
        [sys.executable, "-c", ON_TWO_DEVICES], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["devices"] == 2
    assert rollouts.devices == 1 or len(jax.devices()) > 1
    np.testing.assert_allclose(
        np.float32(answer["values"]), rollouts.record["world"].fields["state"].value, rtol=2e-5, atol=2e-5
    )
