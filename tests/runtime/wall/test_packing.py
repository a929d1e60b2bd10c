"""The bytes of a packed step are those that a recording of its arrays holds."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runtime.recorder import arrays
from rexcli.runtime.wall.packing import MOST_BYTES, Packing
from rexcli.system.spec import RecordSettings
from tests.runtime.wall.robots import Counter, chain

TYPES = ("bool", "int8", "uint16", "int32", "float16", "bfloat16", "float32", "complex64")


def tree(dtype: str) -> dict[str, jax.Array]:
    numbers = jnp.arange(6).reshape(2, 3) - 2
    return {"b": numbers.astype(dtype), "a": jnp.ones((), dtype), "none": jnp.zeros(0, dtype)}


@pytest.mark.parametrize("dtype", TYPES)
def test_jitted_and_plain_steps_are_recorded_as_their_arrays_are(dtype: str, tmp_path: Path) -> None:
    params, state, output = tree("float32"), (tree(dtype), tree("int32")), tree(dtype)["b"]
    packing = Packing.of(RecordSettings(params=True), params, state, output)
    assert packing is not None
    traced = np.asarray(jax.jit(packing.trace)(params, state, output)).tobytes()
    plain = packing.pack(*jax.tree.map(np.asarray, (params, state, output)))
    fields = {"params": arrays(params), "state": arrays(state), "output": arrays(output)}
    assert traced == plain == b"".join(leaf.tobytes() for each in fields.values() for leaf in each.values())
    assert len(traced) == packing.nbytes

    spec = chain(Counter(), Counter()).timing
    with RecordingWriter(tmp_path / "recording.mcap", spec) as writer:
        channel = writer.channel("n0", packing.fields)
        assert channel == writer.channel("n0", fields)
        writer.packed_step(channel, 0, 0, 5, 7, traced)
        writer.step(0, "n0", 1, 15, 17, fields)
    recording = read_recording(tmp_path / "recording.mcap")
    for field in fields:
        for path, values in recording.values("n0", field).items():
            np.testing.assert_array_equal(values[0, 0], values[0, 1], err_msg=f"{field}.{path}")


def test_keys_are_packed_as_their_numbers() -> None:
    key = jax.random.key(3)
    packing = Packing.of(RecordSettings(output=False), None, {"key": key}, None)
    assert packing is not None
    traced = np.asarray(jax.jit(packing.trace)(None, {"key": key}, None))
    assert traced.tobytes() == np.asarray(jax.random.key_data(key)).tobytes()


def test_messages_large_arrays_and_small_numbers_are_not_packed() -> None:
    for dtype in ("int4", "uint4", "float4_e2m1fn"):
        assert Packing.of(RecordSettings(), None, jnp.zeros(3, dtype), None) is None
    assert Packing.of(RecordSettings(inputs=True), None, None, jnp.zeros(1)) is None
    assert Packing.of(RecordSettings(), None, None, jnp.zeros(MOST_BYTES // 4)) is not None
    assert Packing.of(RecordSettings(), None, None, jnp.zeros(MOST_BYTES // 4 + 1)) is None
