"""What a person wants to know of a plan, as plain data for `program.json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rexcli.compiler.plan import Plan

USAGE_ROWS = 60
"""Steps of the first episode whose use of the slots is kept for the picture."""


def describe(plan: Plan) -> dict[str, Any]:
    """The template with how often each slot runs and what it waits for, efficiency, buffers and what was pruned."""
    rows = slice(plan.warmup, plan.warmup + min(USAGE_ROWS, int(plan.length[0])))
    usage = np.stack([slot.tick[0, rows] >= 0 for slot in plan.slots], axis=1).astype(int)
    return {
        "mode": plan.mode,
        "ahead": plan.ahead,
        "slots": [
            {"node": slot.node, "run_share": float(share), "after": _after(plan, index)}
            for index, (slot, share) in enumerate(zip(plan.slots, plan.run_share, strict=True))
        ],
        "efficiency": plan.efficiency,
        "episodes": len(plan.length),
        "steps": plan.length.tolist(),
        "partitions": int(plan.length.sum()),
        "patterns": plan.num_patterns,
        "warmup_rows": plan.warmup,
        "pruned": {name: count for name, count in plan.pruned.items() if count},
        "buffers": plan.rings,
        "usage": usage.tolist(),
    }


def _after(plan: Plan, index: int) -> list[int]:
    """Slots before this one whose output or state it takes in some row."""
    slot = plan.slots[index]
    after = []
    for other in range(index):
        earlier = plan.slots[other]
        reads = [read for read in slot.inputs if plan.sources[read.edge] == earlier.node]
        fresh = any(((read.newest == earlier.tick) & (earlier.tick >= 0) & (slot.tick >= 0)).any() for read in reads)
        if fresh or earlier.node == slot.node:
            after.append(other)
    return after
