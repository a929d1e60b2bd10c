"""First stage: a timeline is cut at the supervisor's ticks: what must have run before each, and what may have.

Since a node's state links each of its ticks to the one before, what runs before a supervisor tick is, of every
node, the first so many ticks. So a cut is told by counts alone, and there are two for each supervisor tick p:

- `required`: what tick p depends on. Whatever order the program runs in, this much must be done.
- `started`: what starts before tick p does. More than this has not happened yet.

Both are closed under dependency, and so is everything that a program may do in between. That freedom is what keeps
programs short: where delays vary from step to step, the work need not. Nodes whose states a task looks at have none:
of them, what has ended when tick p starts has run, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError, suggest
from rexcli.timeline.instants import count_before, ended, keep_ready
from rexcli.timeline.timeline import Timeline

Counts = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Cuts:
    """The cuts of every episode of a timeline at its supervisor's ticks.

    Attributes:
        timeline: that was cut.
        nodes: all but the supervisor.
        required, started: ticks of each node, `[nodes, episodes, cuts]`; rows never decrease, and past an
            episode's end they stay the same.
        needs: for node n, pairs (source node, how many of the source's ticks tick k of n depends on directly,
            `[episodes, ticks]`), the supervisor and the node itself left out.
        newest: by edge, sequence number of the newest message that each tick of the target has read, -1 before
            the first, `[episodes, target ticks]`.
        length: cuts of each episode, `[episodes]`: its supervisor's ticks.
        pruned: by node, ticks that no supervisor tick depends on, over all episodes, where they are left out.
        lookahead: how many supervisor steps before its start a tick may run.
        observed: nodes whose states a task looks at, sorted.
    """

    timeline: Timeline
    nodes: tuple[str, ...]
    required: Counts
    started: Counts
    needs: tuple[tuple[tuple[int, Counts], ...], ...]
    newest: dict[str, Counts]
    length: Counts
    pruned: dict[str, int]
    lookahead: int
    observed: tuple[str, ...]

    def part(self, most: int) -> Cuts:
        """The first episodes, or the beginning of the first: about `most` cuts."""
        episodes = max(1, most // self.started.shape[2])
        cuts = min(self.started.shape[2], most)
        return replace(
            self,
            timeline=self.timeline.select(slice(episodes)),
            required=self.required[:, :episodes, :cuts],
            started=self.started[:, :episodes, :cuts],
            needs=tuple(tuple((source, needs[:episodes]) for source, needs in inputs) for inputs in self.needs),
            newest={edge: values[:episodes] for edge, values in self.newest.items()},
            length=np.minimum(self.length[:episodes], cuts),
        )


def cut(timeline: Timeline, *, prune: bool = True, lookahead: int = 0, observed: Collection[str] = ()) -> Cuts:
    """Cuts every episode of `timeline` at its supervisor's ticks.

    Args:
        timeline: one or many episodes, each with at least the supervisor's tick 0.
        prune: leave out ticks that no supervisor tick depends on; otherwise everything that starts before a
            supervisor tick is required by it.
        lookahead: let `started` reach as many cuts further, as far as that takes nothing from a later supervisor tick.
        observed: nodes of which exactly those ticks run before a supervisor tick that have ended when it starts.
            (Their states are what a task looks at.)

    Raises:
        RexError: if an episode has no supervisor tick, `lookahead` is negative, or a node of `observed` is not in the
            system.
    """
    spec = timeline.spec
    supervisor = timeline.steps[spec.supervisor]
    if lookahead < 0:
        raise RexError(f"compile.ahead={lookahead}: give 0 or more supervisor steps")
    if timeline.num_episodes == 0 or (supervisor.count < 1).any():
        raise RexError(f"supervisor '{spec.supervisor}' has no step in some episode of the timeline; record more steps")
    nodes = tuple(node.name for node in spec.nodes if node.name != spec.supervisor)
    index = {name: i for i, name in enumerate(nodes)}
    past_end = np.arange(supervisor.start.shape[1]) >= supervisor.count[:, None]
    newest = {edge.name: not_empty(timeline.newest(edge).astype(np.int32), -1) for edge in spec.edges}
    fixed = _places(observed, index, spec.supervisor)
    required = _required(timeline, nodes, newest, fixed, past_end)
    started = np.zeros_like(required)
    for i, name in enumerate(nodes):
        started[i] = count_before(timeline.steps[name].start, supervisor.start, past_end, inclusive=False)
    started = np.maximum(started, required)  # what takes no time may start and be needed at the same instant
    started[fixed] = required[fixed]
    pruned = {}
    if prune:
        final = required[:, :, -1:]
        pruned = {name: int((started[i, :, -1] - final[i, :, 0]).sum()) for name, i in index.items()}
        started = np.minimum(started, final)
    else:
        required = started
    needs: list[list[tuple[int, Counts]]] = [[] for _ in nodes]
    for edge in spec.edges:
        if spec.supervisor not in (edge.source, edge.target) and edge.source != edge.target:
            needs[index[edge.target]].append((index[edge.source], newest[edge.name] + 1))
    if lookahead:
        started = _further(timeline, started, lookahead, newest, fixed)
    return Cuts(
        timeline,
        nodes,
        required,
        started,
        tuple(map(tuple, needs)),
        newest,
        supervisor.count,
        pruned,
        lookahead,
        tuple(sorted(observed)),
    )


def _required(
    timeline: Timeline, nodes: tuple[str, ...], newest: dict[str, Counts], fixed: list[int], past_end: np.ndarray
) -> Counts:
    """What each supervisor tick depends on, `[nodes, episodes, cuts]`; of the nodes in `fixed` all that has ended."""
    spec, index = timeline.spec, {name: i for i, name in enumerate(nodes)}
    required: Counts = np.zeros((len(nodes), *past_end.shape), np.int64)
    if fixed:
        done = ended(timeline, newest)
        for place in fixed:
            required[place] = done[nodes[place]]
    changed = deque([spec.supervisor, *(nodes[place] for place in fixed)])
    while changed:
        target = changed.popleft()
        last = np.arange(past_end.shape[1]) if target == spec.supervisor else required[index[target]] - 1
        for edge in spec.inputs(target):
            if edge.source in (spec.supervisor, target):
                continue
            needed = np.where(past_end, 0, _take(newest[edge.name], last) + 1)
            needed = np.maximum.accumulate(needed, axis=1)
            if (needed > required[index[edge.source]]).any():
                required[index[edge.source]] = np.maximum(required[index[edge.source]], needed)
                if edge.source not in changed:
                    changed.append(edge.source)
    return required


def _places(observed: Collection[str], index: dict[str, int], supervisor: str) -> list[int]:
    """The indices of the observed nodes, without the supervisor, whose state is always that of its last tick."""
    for name in observed:
        if name not in index and name != supervisor:
            raise RexError(f"observed: no node is called '{name}'{suggest(name, list(index))}")
    return [index[name] for name in observed if name != supervisor]


def _further(
    timeline: Timeline, started: Counts, lookahead: int, newest: dict[str, Counts], fixed: list[int]
) -> Counts:
    """What may have run at each cut, `[nodes, episodes, cuts]`: all that is ready and starts `lookahead` cuts later.

    Of the nodes in `fixed`, nothing runs ahead of time.
    """
    spec = timeline.spec
    last = started.shape[2] - 1
    may = started[:, :, np.minimum(np.arange(last + 1) + lookahead, last)]
    may[fixed] = started[fixed]
    names = [node.name for node in spec.nodes if node.name != spec.supervisor]
    counts = dict(zip(names, may, strict=True))
    keep_ready(counts, spec, newest)
    return np.maximum(np.stack([counts[name] for name in names]) if names else may, started)


def not_empty(values: Counts, fill: int) -> Counts:
    """`values`, `[episodes, ticks]`, with a column of `fill` if the node never ticks, so that there is one to index."""
    return values if values.shape[1] else np.full((len(values), 1), fill, values.dtype)


def _take(values: Counts, tick: Counts) -> Counts:
    """`values[episode, tick]`, -1 for tick -1; `tick` is `[episodes, cuts]` or `[cuts]`."""
    tick = np.broadcast_to(tick, (len(values), tick.shape[-1]))
    picked = np.take_along_axis(values, np.maximum(tick, 0), axis=1)
    return np.where(tick < 0, -1, picked)
