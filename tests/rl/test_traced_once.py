"""Who asks what a function returns does not have it traced a second time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.rl.traced_once import traced_once, zeros_of_result


def test_a_loop_that_begins_with_zeros_of_what_its_body_returns_traces_it_once() -> None:
    traces: list[int] = []

    @jax.jit
    def total(scale: jax.Array, values: jax.Array) -> jax.Array:
        @traced_once
        def body(value: jax.Array) -> dict[str, jax.Array]:
            traces.append(1)
            return {"sum": (scale * value).sum(), "count": jnp.int32(1)}

        def step(carry: dict[str, jax.Array], value: jax.Array) -> tuple[dict[str, jax.Array], None]:
            return jax.tree.map(jnp.add, carry, body(value)), None

        return jax.lax.scan(step, zeros_of_result(body, values[0]), values)[0]

    found = total(jnp.float32(2), jnp.arange(6.0).reshape(3, 2))
    assert (found["sum"], found["count"]) == (30.0, 3)
    assert len(traces) == 1
    assert "pjit" not in str(jax.make_jaxpr(lambda x: jax.vmap(traced_once(jnp.sin))(x))(np.zeros(2)))
