"""First stage: cuts a timeline at the supervisor's ticks, into what must have run before each, and what may have run.

Since a node's state links each of its ticks to the previous one, the ticks that run before a supervisor tick are the
first ones of every node. So their numbers define a cut, and there are two cuts for each supervisor tick p:

- `required`: the ticks that tick p depends on. They must have run, whatever order the program runs in.
- `started`: the ticks that start before tick p does. No others have started by then.

Both are closed under dependency, and so is everything between them that a program may run. This freedom keeps programs
short: delays may vary from step to step although the number of ticks that run in each step does not. Nodes whose states
a task observes have no such freedom: exactly the ticks that have ended when tick p starts have run.
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
        timeline: the timeline that was cut.
        nodes: all but the supervisor.
        required, started: number of ticks of each node, `[nodes, episodes, cuts]`; rows never decrease, and stay
            constant past an episode's end.
        needs: for node n, pairs (source node, how many of the source's ticks tick k of n depends on directly,
            `[episodes, ticks]`), except for the supervisor and the node itself.
        newest: by edge, sequence number of the newest message that each tick of the target has read, -1 before
            the first, `[episodes, target ticks]`.
        length: cuts of each episode, `[episodes]`: its supervisor's ticks.
        pruned: by node, the number of ticks in all episodes that were left out because no supervisor tick depends on
            them.
        lookahead: how many supervisor steps before its start a tick may run.
        observed: nodes whose states a task observes, sorted.
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
        """Returns about `most` cuts: those of the first episodes, or of the beginning of the first episode."""
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
        lookahead: let `started` reach that many cuts further, except for ticks that depend on a later supervisor tick.
        observed: nodes whose states a task observes; exactly those of their ticks run before a supervisor tick that
            have ended when it starts.

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
    started = np.maximum(started, required)  # a tick without delay may start and be required at the same instant
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
    """Returns the ticks that each supervisor tick depends on, `[nodes, episodes, cuts]`; all ended ticks of nodes in
    `fixed`.
    """
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
    """Returns the indices of the observed nodes except the supervisor, whose state is always that of its last tick."""
    for name in observed:
        if name not in index and name != supervisor:
            raise RexError(f"observed: no node is called '{name}'{suggest(name, list(index))}")
    return [index[name] for name in observed if name != supervisor]


def _further(
    timeline: Timeline, started: Counts, lookahead: int, newest: dict[str, Counts], fixed: list[int]
) -> Counts:
    """Returns how many ticks may have run at each cut, `[nodes, episodes, cuts]`, if ticks may run ahead.

    A tick may run if it starts within the next `lookahead` cuts and its inputs are ready; nodes in `fixed` do not run
    ahead.
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
    """Returns `values`, `[episodes, ticks]`, with one column of `fill` if the node never ticks, so that it can be
    indexed.
    """
    return values if values.shape[1] else np.full((len(values), 1), fill, values.dtype)


def _take(values: Counts, tick: Counts) -> Counts:
    """Returns `values[episode, tick]`, -1 for tick -1; `tick` is `[episodes, cuts]` or `[cuts]`."""
    tick = np.broadcast_to(tick, (len(values), tick.shape[-1]))
    picked = np.take_along_axis(values, np.maximum(tick, 0), axis=1)
    return np.where(tick < 0, -1, picked)
