"""Describes a plan to the user, as plain data for `program.json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rexcli.compiler.plan import Plan

USAGE_ROWS = 60
"""Number of steps of the first episode whose use of the slots is stored for the picture."""


def describe(plan: Plan) -> dict[str, Any]:
    """Returns the template with each slot's run share and dependencies, its efficiency, ring sizes and pruned ticks."""
    rows = slice(plan.warmup, plan.warmup + min(USAGE_ROWS, int(plan.length[0])))
    usage = np.stack([tick[0, rows] >= 0 for tick in plan.table.tick], axis=1).astype(int)
    return {
        "mode": plan.mode,
        "ahead": plan.lookahead,
        "slots": [
            {"node": node, "run_share": float(share), "after": _after(plan, index)}
            for index, (node, share) in enumerate(zip(plan.template, plan.run_share, strict=True))
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
    """Returns the earlier slots whose output or state a slot takes in some row."""
    table, node, tick = plan.table, plan.template[index], plan.table.tick[index]
    runs = tick >= 0
    newest = [
        (edge.source, np.take_along_axis(table.newest[edge.name], np.maximum(tick, 0), axis=1))
        for edge in table.timeline.spec.inputs(node)
    ]
    after = []
    for other in range(index):
        source, earlier = plan.template[other], table.tick[other]
        fresh = any(((seq == earlier) & (earlier >= 0) & runs).any() for sender, seq in newest if sender == source)
        if fresh or source == node:
            after.append(other)
    return after
