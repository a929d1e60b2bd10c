"""Draws the random values of each episode: parameters, adjustable delays, and changes of its timeline's delays."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError, suggest
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.paths import leaf_paths
from rexcli.system.ranges import Range

PyTree = Any

Posterior = Mapping[str, npt.NDArray[Any]]
"""Joint draws, `[draws]` each, by `nodes/<node>/<parameter>` and `edges/<edge>`."""

RANDOMIZE = 0x2A9D
"""Folded into PRNG keys, so that these random numbers differ from those of `init_params` and of delays."""


def draw(key: jax.Array, entry: Range) -> jax.Array:
    """Draws one number, float32."""
    low, high = entry.ends
    if entry.mean is not None and entry.std is not None:
        mean, std = entry.mean, entry.std
        value = mean + std * jax.random.truncated_normal(key, (low - mean) / std, (high - mean) / std)
    elif entry.log:
        value = jnp.exp(jax.random.uniform(key, minval=math.log(low), maxval=math.log(high)))
    else:
        value = jax.random.uniform(key, minval=low, maxval=high)
    return jnp.clip(value, low, high)  # so that rounding does not exceed the bounds


def applied(entry: Range, declared: Any, drawn: Any) -> Any:
    """Returns the value of an episode, from the declared and the drawn one."""
    if entry.operation == "set":
        return drawn
    return declared * drawn if entry.operation == "scale" else declared + drawn


def drawn_params(node: str, key: jax.Array, params: PyTree, ranges: Mapping[str, Range]) -> PyTree:
    """Returns a node's parameters with some numbers drawn. Each only depends on `key` and its own name.

    Raises:
        RexError: if there is no such parameter, or it is not a real number.
    """
    if not ranges:
        return params
    leaves = leaf_paths(params)
    for name, entry in ranges.items():
        where, path = f"randomize.nodes.{node}.{name}", entry.path or name
        if path not in leaves:
            known = suggest(path, list(leaves)) or f"; node '{node}' has none"
            raise RexError(f"{where}: there is no parameter '{path}'{known}")
        leaf = leaves[path]
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise RexError(f"{where}: parameter '{path}' is {leaf.dtype}; only real numbers are drawn")
        value = applied(entry, leaf, draw(named_key(key, name), entry))
        leaves[path] = jnp.broadcast_to(jnp.asarray(value, leaf.dtype), leaf.shape)
    return jax.tree.unflatten(jax.tree.structure(params), list(leaves.values()))


def drawn_delay(edge: str, key: jax.Array, delay: AdjustableDelay, declared: Any, entry: Range) -> jax.Array:
    """Draws an adjustable delay, seconds, within its bounds."""
    return jnp.clip(applied(entry, declared, draw(named_key(key, edge), entry)), delay.low, delay.high)


def drawn_of_posterior(rng: jax.Array, posterior: Posterior, section: str) -> dict[str, jax.Array]:
    """Returns an episode's joint draw from a posterior, restricted to one section, such as `nodes/world`.

    Args:
        rng: the PRNG key of the episode.
        posterior: the draws from which one is chosen.
        section: the beginning of the keys.
    """
    found = {}
    for key, values in posterior.items():
        if key.startswith(f"{section}/"):
            number = jax.random.randint(named_key(rng, "posterior"), (), 0, len(values))
            found[key.removeprefix(f"{section}/")] = jnp.asarray(values, jnp.float32)[number]
    return found


def drawn_of_timeline(seed: int, name: str, episodes: npt.NDArray[Any], entry: Range) -> npt.NDArray[np.float32]:
    """Draws a number for each episode of a timeline, for the delays of one node or edge, `[episodes]`."""
    key = named_key(jax.random.fold_in(jax.random.key(seed), RANDOMIZE), name)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(episodes))
    return np.asarray(jax.vmap(lambda each: draw(each, entry))(keys))


def named_key(key: jax.Array, name: str) -> jax.Array:
    """Returns a key for one name, which does not depend on other ranges."""
    return jax.random.fold_in(jax.random.fold_in(key, RANDOMIZE), zlib.crc32(name.encode()))
