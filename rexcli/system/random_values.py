"""Computes the random values that each episode drew, to store them with its data."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.system.init import init_graph_state
from rexcli.system.paths import leaf_paths
from rexcli.system.randomize import drawn_of_timeline
from rexcli.system.system import System


def random_values(system: System, seed: int, episode: Sequence[int]) -> dict[str, np.ndarray]:
    """Returns what episodes of a recording or of rollouts drew from `system.randomize`, by name, `[episodes]`.

    For parameters and adjustable delays these are the episode's values, for delays of the timeline the number by which
    they are changed, such as `nodes.sensor.delay.scale`.

    Args:
        system: the system that was run.
        seed: the seed of the experiment.
        episode: the episode of the timeline of each.
    """
    rng, ranges = jax.random.key(seed), system.randomize

    def one(number: jax.Array, eps: jax.Array) -> dict[str, jax.Array]:
        state = init_graph_state(system, jax.random.fold_in(rng, number), eps=eps)
        found: dict[str, jax.Array] = {}
        for node, entries in ranges.nodes.items():
            leaves = leaf_paths(state.params[node])
            found |= {f"{node}.{name}": leaves[entry.path or name] for name, entry in entries.items()}
        for key in system.posterior:
            section, node, *path = key.split("/")
            if section == "nodes":
                found[f"{node}.{path[0]}"] = leaf_paths(state.params[node])[path[0]]
        for name in [*ranges.edges, *(key.split("/")[1] for key in system.posterior if key.startswith("edges/"))]:
            edge = system.edges[name]
            if edge.input in system.adjustable(edge.target):
                found[f"edges.{name}.delay"] = state.delays[edge.target][edge.input]
        return found

    columns: dict[str, np.ndarray] = {}
    if not (ranges.nodes or ranges.edges or ranges.computation or system.posterior):
        return columns
    numbers, eps = jnp.arange(len(episode)), jnp.asarray(episode, jnp.int32)
    if all(node.jit for node in system.nodes.values()):
        values = jax.jit(jax.vmap(one))(numbers, eps)
    else:
        values = jax.tree.map(lambda *each: np.stack(each), *map(one, numbers, eps))
    for name, value in values.items():
        flat = np.asarray(value).reshape(len(episode), -1)
        names = [name] if value.ndim == 1 else [f"{name}.{index}" for index in range(flat.shape[1])]
        columns |= dict(zip(names, flat.T, strict=True))
    for kind, section, entries in (("node", "nodes", ranges.computation), ("edge", "edges", ranges.edges)):
        for name, entry in entries.items():
            if f"{section}.{name}.delay" not in columns:
                changed = drawn_of_timeline(seed, f"{kind} {name}", np.asarray(episode), entry)
                columns[f"{section}.{name}.delay.{entry.operation}"] = changed
    return columns
