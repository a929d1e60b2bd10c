"""Counts the ticks that have ended when the supervisor's ticks start, which is when a task observes the system."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from rexcli.timeline.spec import SystemTiming
from rexcli.timeline.timeline import Timeline, Times

Integers = npt.NDArray[np.integer]


def ended(timeline: Timeline, newest: Mapping[str, Integers] | None = None) -> dict[str, Times]:
    """Returns how many ticks of each node have ended at the start of each supervisor tick.

    A tick without computation delay that waits for the output of that same supervisor tick has not ended, because its
    result depends on the action that the supervisor is about to choose.

    Args:
        timeline: one or many episodes.
        newest: the results of `timeline.newest`, by edge, if they have been computed before.

    Returns:
        Counts by node, except the supervisor, `[episodes, supervisor ticks]`; rows never decrease, and stay constant
        past an episode's end.
    """
    spec = timeline.spec
    supervisor = timeline.steps[spec.supervisor]
    past_end = np.arange(supervisor.start.shape[1]) >= supervisor.count[:, None]
    counts = {
        name: count_before(steps.end, supervisor.start, past_end, inclusive=True)
        for name, steps in timeline.steps.items()
        if name != spec.supervisor
    }
    if newest is None:
        newest = {edge.name: timeline.newest(edge) for edge in spec.edges}
    keep_ready(counts, spec, newest)
    return counts


def begun(timeline: Timeline) -> dict[str, Times]:
    """Returns how many ticks of each node run in an execution that ends with the supervisor's last tick, `[episodes]`.

    These are the ticks that start no later than that tick and do not wait for its output: it ends the last step, and
    its action is not used. For the supervisor, all ticks count.
    """
    spec = timeline.spec
    supervisor = timeline.steps[spec.supervisor]
    last = supervisor.start[np.arange(timeline.num_episodes), supervisor.count - 1][:, None]
    inside = np.zeros(last.shape, bool)
    counts = {name: count_before(steps.start, last, inside, inclusive=True) for name, steps in timeline.steps.items()}
    counts[spec.supervisor] = supervisor.count[:, None] - 1
    read = [edge for edge in spec.edges if edge.target not in (spec.supervisor, edge.source)]
    keep_ready(counts, spec, {edge.name: timeline.newest(edge) for edge in read})
    return {**{name: count[:, 0] for name, count in counts.items()}, spec.supervisor: supervisor.count}


def keep_ready(counts: dict[str, Times], spec: SystemTiming, newest: Mapping[str, Integers]) -> None:
    """Lowers `counts`, in place, so that every counted tick only reads messages of ticks that are counted too.

    Args:
        counts: ticks of each node at each cut, `[episodes, cuts]`, by name. If the supervisor has no entry, p of its
            ticks count at cut p.
        spec: the system.
        newest: the newest message that each tick of an edge's target has read, `[episodes, ticks]`, by edge.
    """
    changed = deque([spec.supervisor, *counts])
    while changed:
        source = changed.popleft()
        for edge in spec.outputs(source):
            if edge.target in (spec.supervisor, source):
                continue
            own = counts[edge.target]
            ran = counts.get(source, np.broadcast_to(np.arange(own.shape[1]), own.shape))
            ready = [
                np.searchsorted(row, limit - 1, side="right") for row, limit in zip(newest[edge.name], ran, strict=True)
            ]
            fewer = np.minimum(own, np.stack(ready))
            if (fewer < own).any():
                counts[edge.target] = fewer
                if edge.target not in changed:
                    changed.append(edge.target)


def count_before(times: Times, at: Times, past_end: np.ndarray, *, inclusive: bool) -> Times:
    """Returns how many of `times` come before each of `at`, `[episodes, cuts]`; constant past an episode's end.

    Args:
        times: ns, `[episodes, ticks]`; rows never decrease.
        at: ns, `[episodes, cuts]`.
        past_end: whether a cut lies past the episode's end, bool `[episodes, cuts]`.
        inclusive: also count times that are equal.
    """
    side: Literal["left", "right"] = "right" if inclusive else "left"
    counts = np.stack([np.searchsorted(row, instants, side=side) for row, instants in zip(times, at, strict=True)])
    return np.maximum.accumulate(np.where(past_end, 0, counts), axis=1)
