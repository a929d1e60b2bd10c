"""Simulates timelines by the timing rules, all episodes in one pass.

No rule depends on data, and the messages that a blocking input requires are static. So the pass goes node by node,
sources of blocking inputs first, and computes all ticks and episodes of a node at once (`unroll`); then it cuts every
episode at its end and assigns readers. Time and memory are proportional to the number of steps and messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rexcli.errors import RexError
from rexcli.timeline.phases import advances, check, phases
from rexcli.timeline.reading import blocking_readers, first_readers
from rexcli.timeline.schedule import period
from rexcli.timeline.spec import NANOSECONDS, NEVER, EdgeTiming, SystemTiming, nanoseconds
from rexcli.timeline.timeline import Messages, Steps, Timeline, Times
from rexcli.timeline.unroll import Sample, Unrolled, unroll


def simulate(
    spec: SystemTiming,
    sample: Sample,
    *,
    episodes: int,
    steps: int | None = None,
    seconds: float | None = None,
) -> Timeline:
    """Simulates episodes of a system; each episode is the same whether it is simulated alone or with others.

    Args:
        spec: the system.
        sample: draws delays; called once per node and edge, and again with more ticks if episodes turn out longer.
        episodes: how many.
        steps: number N of supervisor steps: the timeline holds supervisor ticks 0 … N and all ticks that start until
            then.
        seconds: alternatively the length of an episode: the timeline holds all ticks that start until then.

    Raises:
        RexError: if the system cannot be scheduled, or a delay is NaN, infinite or too long.
    """
    check(spec)
    if episodes < 1:
        raise RexError(f"episodes {episodes}: give 1 or more")
    if (steps is None) == (seconds is None):
        raise RexError("give the length of an episode either as steps or as seconds")
    if steps is not None:
        return _simulate_steps(spec, sample, episodes, steps)
    return _simulate_seconds(spec, sample, episodes, seconds or 0.0)


def _simulate_steps(spec: SystemTiming, sample: Sample, episodes: int, steps: int) -> Timeline:
    if steps < 1:
        raise RexError(f"steps {steps}: give 1 or more supervisor steps")
    name = spec.supervisor

    def last_start(unrolled: Unrolled) -> Times:
        return unrolled.start[name][:, steps]

    unrolled, cutoff = cover(spec, sample, episodes, first_horizon(spec, steps), last_start)
    return assemble(unrolled, cutoff, at_most={name: steps + 1})


def first_horizon(spec: SystemTiming, steps: int) -> int:
    """Returns the first horizon to try, ns, for the simulation of `steps` supervisor steps."""
    name = spec.supervisor
    last = phases(spec)[name] + round(steps * NANOSECONDS / spec.node(name).rate)
    return last + last // 32 + _usual_lateness(spec)


def _simulate_seconds(spec: SystemTiming, sample: Sample, episodes: int, seconds: float) -> Timeline:
    if not 0 < seconds < NEVER / NANOSECONDS / 4:
        raise RexError(f"seconds {seconds:g}: give a positive number of seconds")
    end = np.full(episodes, nanoseconds(seconds), np.int64)
    unrolled, cutoff = cover(spec, sample, episodes, int(end[0]), lambda _: end)
    timeline = assemble(unrolled, cutoff)
    if (timeline.num_steps < 1).any():
        raise RexError(
            f"seconds {seconds:g}: an episode ends before supervisor '{spec.supervisor}' has made a step; "
            "give more seconds"
        )
    return timeline


def cover(
    spec: SystemTiming,
    sample: Sample,
    episodes: int,
    horizon: int,
    cutoff: Callable[[Unrolled], Times],
    recorded: Timeline | None = None,
) -> tuple[Unrolled, Times]:
    """Unrolls the system up to a horizon that holds every tick that starts until the cutoff, extended where needed.

    Args:
        spec, sample, episodes, recorded: as for `unroll`.
        horizon: the first horizon to try, ns.
        cutoff: returns the last start that counts, ns, `[episodes]`.

    Returns:
        The unrolled system and the cutoff.
    """
    eager = [
        node for node in spec.nodes if advances(spec, node) and (recorded is None or node.name not in recorded.steps)
    ]
    phase = phases(spec)
    for node in eager:
        horizon = max(horizon, phase[node.name]) + 2 * period(node.rate)
    while True:
        unrolled = unroll(spec, sample, episodes, horizon, recorded)
        until = cutoff(unrolled)
        latest = int(until.max())
        if latest > horizon:
            horizon = latest + latest // 32
            continue
        # Nodes that keep their schedule start no earlier than it. Nodes that advance may start any time before.
        short = [node.name for node in eager if (unrolled.start[node.name][:, -1] <= until).any()]
        for name in short:
            _check_progress(name, unrolled.start[name])
        if not short:
            return unrolled, until
        horizon *= 2


def assemble(
    unrolled: Unrolled,
    cutoff: Times,
    *,
    at_most: Mapping[str, int] | None = None,
    recorded: Timeline | None = None,
) -> Timeline:
    """Cuts every episode at the cutoff and assigns readers to messages.

    Args:
        unrolled: holds every tick that starts until the cutoff.
        cutoff: ns, `[episodes]`.
        at_most: the most ticks to keep, by node, where several start exactly at the cutoff.
        recorded: nodes and edges whose times stay as they are.
    """
    spec = unrolled.schedule.spec
    known = recorded or Timeline(spec, {}, {})
    steps = {
        node.name: known.steps.get(node.name) or _cut(unrolled, node.name, cutoff, (at_most or {}).get(node.name))
        for node in spec.nodes
    }
    messages = {
        edge.name: known.messages.get(edge.name)
        or _deliver(unrolled, edge, steps[edge.source], steps[edge.target], edge.target in known.steps)
        for edge in spec.edges
    }
    return Timeline(spec, steps, messages)


def _cut(unrolled: Unrolled, name: str, cutoff: Times, at_most: int | None) -> Steps:
    start, end = unrolled.start[name], unrolled.end[name]
    count = (start <= cutoff[:, None]).sum(axis=1)
    if at_most is not None:
        count = np.minimum(count, at_most)
    width = int(count.max())
    gone = np.arange(width) >= count[:, None]
    return Steps(np.where(gone, NEVER, start[:, :width]), np.where(gone, NEVER, end[:, :width]), count)


def _deliver(unrolled: Unrolled, edge: EdgeTiming, source: Steps, target: Steps, target_known: bool) -> Messages:
    """Returns the arrivals of the messages that were sent, and their readers."""
    width = source.start.shape[1]
    gone = np.arange(width) >= source.count[:, None]
    arrive = np.where(gone, NEVER, unrolled.arrive[edge.name][:, :width])
    schedule = unrolled.schedule
    if edge.blocking:
        reader = blocking_readers(schedule.required(edge), width, target.count)
        if target_known:
            # A tick that ran before the edge was there has not waited: what came later is read later.
            there = first_readers(arrive, target.start, target.count, strictly=False)
            reader = np.where((reader < 0) | (there < 0), -1, np.maximum(reader, there))
    elif edge.jitter == "buffer":
        due = np.maximum(arrive, schedule.expected_arrival(edge, width))
        reader = first_readers(due, target.start, target.count, strictly=False)
    else:
        reader = first_readers(arrive, target.start, target.count, strictly=edge.leaves_simultaneous)
    reader[arrive >= NEVER] = -1
    return Messages(arrive, reader)


def _usual_lateness(spec: SystemTiming) -> int:
    """Returns a first guess, ns, of how much later than scheduled the supervisor may start."""
    delays = [node.expected_delay for node in spec.nodes] + [edge.expected_delay for edge in spec.edges]
    return period(spec.node(spec.supervisor).rate) + 2 * max(delays, default=0)


def _check_progress(name: str, start: Times) -> None:
    ticks = start.shape[1]
    if ticks >= 1024 and (start[:, -1] == start[:, ticks // 2]).any():
        raise RexError(
            f"node '{name}': advance: true, and what it waits for takes no time: it runs infinitely fast; "
            "set advance: false, or give a node or edge of the loop a delay"
        )
