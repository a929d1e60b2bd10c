"""Fourth stage: computes which tick every slot of a template runs in every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.compiler.cut import Cuts
from rexcli.compiler.template_fit import Template


@dataclass(frozen=True)
class Placement:
    """The slot and the row of each tick.

    Attributes:
        nodes: the node of each slot of the template.
        tick: the tick that each slot runs, -1 for none, int32 `[slots, episodes, rows]`.
        warmup: rows up to and including the one that ends at cut 0; cut p is at the end of row `warmup - 1 + p`.
    """

    nodes: tuple[str, ...]
    tick: npt.NDArray[np.int32]
    warmup: int


def place(cuts: Cuts, template: Template) -> Placement:
    """Returns which tick each slot runs; idle rows precede a warm-up that is shorter than another's, and end an
    episode.
    """
    warmup = max(map(len, template.warmup))
    ran = np.zeros((len(template.rows), warmup + template.cuts, len(template.slots)), bool)
    used = _runs(template, template.used)
    for episode, (first, rest) in enumerate(zip(template.warmup, template.rows, strict=True)):
        ran[episode, warmup - len(first) : warmup] = _runs(template, first)
        ran[episode, warmup : warmup + len(rest)] = used[np.frombuffer(rest, np.intc)]
    tick = np.full((len(template.slots), *ran.shape[:2]), -1, np.int32)
    nodes = np.array(template.slots, np.int64)
    for node in set(template.slots):
        slots = np.flatnonzero(nodes == node)
        own = ran[:, :, slots]  # in order of execution
        count = np.cumsum(own.reshape(len(own), -1), axis=1, dtype=np.int32).reshape(own.shape)
        tick[slots] = np.moveaxis(np.where(own, count - 1, -1), 2, 0)
    return Placement(tuple(cuts.nodes[node] for node in template.slots), tick, warmup)


def _runs(template: Template, rows: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Returns which slots run, bool `[rows, slots]`."""
    runs = [[bool(row & bit) for bit in template.bits] for row in rows]
    return np.array(runs, bool).reshape(len(rows), len(template.bits))
