"""Converts plans to plain arrays, for `plan.npz`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt

from rexcli.compiler.cut import cut
from rexcli.compiler.placement import Placement
from rexcli.compiler.plan import Plan, plan_placed
from rexcli.compiler.template_rules import Mode
from rexcli.errors import RexError
from rexcli.timeline.timeline import Timeline


def plan_to_arrays(plan: Plan) -> dict[str, npt.NDArray]:
    """Returns what the search for a template found: the template, and which tick each of its slots runs in each row."""
    *tick, last = plan.table.tick
    shape = (0, *last.shape)
    return {
        "mode": np.array(plan.mode),
        "template": np.array(plan.template[:-1], dtype=np.str_),
        "tick": np.stack(tick) if tick else np.zeros(shape, np.int32),
        "warmup": np.array(plan.warmup),
        "num_patterns": np.array(plan.num_patterns),
        "prune": np.array(bool(plan.pruned)),
        "ahead": np.array(plan.lookahead),
        "observed": np.array(plan.observed, dtype=np.str_),
    }


def plan_from_arrays(arrays: Mapping[str, npt.NDArray], timeline: Timeline) -> Plan:
    """Returns the plan of a timeline from such arrays, without a search.

    Raises:
        RexError: if the arrays are no plan of this timeline.
    """
    try:
        observed = [str(name) for name in arrays.get("observed", ())]
        cuts = cut(timeline, prune=bool(arrays["prune"]), lookahead=int(arrays["ahead"]), observed=observed)
        tick, warmup = np.asarray(arrays["tick"], np.int64), int(arrays["warmup"])
        nodes = tuple(str(name) for name in arrays["template"])
        if tick.shape != (len(nodes), len(cuts.length), warmup + cuts.started.shape[2]):
            raise ValueError(f"its shape is {tick.shape}")
        for slot, node in enumerate(nodes):
            if node not in cuts.nodes or tick[slot].max(initial=-1) >= timeline.steps[node].count.max():
                raise ValueError("it runs ticks that there are not")
        placement = Placement(nodes, tick.astype(np.int32), warmup)
        return plan_placed(cuts, placement, cast(Mode, str(arrays["mode"])), int(arrays["num_patterns"]))
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise RexError(f"plan.npz is no plan of this timeline ({error}); run rex compile again") from None
