"""Plans and rollouts as plain arrays, for `plan.npz` and `rollouts.npz`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rexcli.compiler.partition import cut
from rexcli.compiler.plan import Plan, assemble
from rexcli.compiler.rollouts import Rollouts
from rexcli.compiler.schedule import Placement
from rexcli.compiler.supergraph import Mode
from rexcli.errors import RexError
from rexcli.system.paths import leaf_paths
from rexcli.timeline.timeline import Timeline


def to_arrays(plan: Plan) -> dict[str, npt.NDArray]:
    """What it took a search to find: the template, and which tick each of its slots runs in each row."""
    *tick, last = plan.table.tick
    shape = (0, *last.shape)
    return {
        "mode": np.array(plan.mode),
        "template": np.array(plan.template[:-1], dtype=np.str_),
        "tick": np.stack(tick) if tick else np.zeros(shape, np.int32),
        "warmup": np.array(plan.warmup),
        "num_patterns": np.array(plan.num_patterns),
        "prune": np.array(bool(plan.pruned)),
        "ahead": np.array(plan.ahead),
        "observed": np.array(plan.observed, dtype=np.str_),
    }


def from_arrays(arrays: Mapping[str, npt.NDArray], timeline: Timeline) -> Plan:
    """The plan of a timeline, without a search.

    Raises:
        RexError: if the arrays are not a plan of this timeline.
    """
    try:
        ahead = int(arrays["ahead"])
        observed = [str(name) for name in arrays.get("observed", ())]
        cuts = cut(timeline, prune=bool(arrays["prune"]), ahead=ahead, observed=observed)
        template = [cuts.nodes.index(str(name)) for name in arrays["template"]]
        placement = Placement(np.asarray(arrays["tick"], np.int64), int(arrays["warmup"]))
        rows = placement.warmup + cuts.started.shape[2]
        if placement.tick.shape != (len(template), len(cuts.length), rows):
            raise ValueError(f"its shape is {placement.tick.shape}")
        for slot, node in enumerate(template):
            if placement.tick[slot].max(initial=-1) >= timeline.steps[cuts.nodes[node]].count.max():
                raise ValueError("it runs ticks that there are not")
        mode = cast(Mode, str(arrays["mode"]))
        return assemble(timeline, cuts, mode, template, placement, int(arrays["num_patterns"]), ahead, observed)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise RexError(f"plan.npz is no plan of this timeline ({error}); run rex compile again") from None


def rollout_arrays(rollouts: Rollouts, num: int) -> dict[str, npt.NDArray]:
    """The first `num` rollouts: `<node>/seq` and `<node>/ts`, `[num, ticks]`, and `<node>/<field>/<key path>`.

    There is room for as many ticks as ran in any of them; past a rollout's last, the sequence number is -1.
    """
    num = min(num, rollouts.num)
    episode = rollouts.episode[:num]
    arrays: dict[str, npt.NDArray] = {"episode": episode}
    for name, record in rollouts.record.items():
        seq = np.asarray(record.seq)[episode]
        ran = np.argsort(seq < 0, axis=1, kind="stable")[:, : int((seq >= 0).sum(axis=1).max(initial=0))]
        arrays[f"{name}/seq"] = np.take_along_axis(seq, ran, axis=1)
        arrays[f"{name}/ts"] = np.take_along_axis(np.asarray(record.ts)[episode], ran, axis=1)
        for field, tree in record.fields.items():
            for path, leaf in leaf_paths(tree).items():
                leaf = leaf[:num]
                if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                    leaf = jax.random.key_data(leaf)
                key = "/".join(part for part in (name, field, path) if part)
                arrays[key] = np.asarray(leaf)[np.arange(num)[:, None], ran]
    return arrays
