"""Implements `rex show`: prints the system as it will run, and what looks wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rexcli import memory_limit
from rexcli.cli.job import Job
from rexcli.compiler import backend
from rexcli.config.schema import Experiment
from rexcli.errors import RexError
from rexcli.runs.result import Result, Table
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.extent import extent
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NANOSECONDS
from rexcli.timeline.statistics import EdgeStatistics, NodeStatistics, Statistics, statistics

EPISODES = 20
"""Episodes of the quick simulation."""

STEPS = 200
"""Supervisor steps of each episode."""

QUICK = 2**28
"""Bytes that the simulation may take; a larger one gets fewer and shorter episodes."""


def show(job: Job) -> Result:
    """Returns tables of nodes and edges, with a warning for everything that looks wrong. It leaves no run.

    Replicas with equal declarations share a line; as JSON, each has its own.
    """
    backend.prepare(job.experiment.compile.devices)
    system = job.system()
    measured, episodes, steps = simulate_quickly(job.experiment, system)
    every = job.console.as_json
    nodes = _alike(system.specs, lambda name: None if every else _node_kind(system, measured, name))
    edges = _alike(system.edges, lambda name: None if every else _edge_kind(system, name))
    found = warnings(system, measured, steps)
    return Result(
        tables=[
            _system(job.experiment, system, f"{episodes} episodes of {steps} simulated steps"),
            _nodes(system, measured, nodes),
            _edges(system, edges),
            _messages(system, measured, edges),
            _delays(system, nodes, edges),
            *_drawn(system),
        ],
        warnings=list(found if every else _once(found)),
    )


def _alike(names: Iterable[str], kind: Callable[[str], tuple[Any, ...] | None]) -> list[list[str]]:
    """Groups the names that share a line: those of one kind; a name whose kind is None has a line of its own."""
    lines: dict[Any, list[str]] = {}
    for name in names:
        lines.setdefault(kind(name) or name, []).append(name)
    return list(lines.values())


def _node_kind(system: System, measured: Statistics, name: str) -> tuple[Any, ...] | None:
    """Returns what replicas must have in common to share a line; None for a node that is no replica."""
    spec = system.specs[name]
    if spec.group is None:
        return None
    timing = spec.rate, measured.nodes[name].phase, spec.scheduling, spec.advance, repr(spec.delay)
    return ("node", spec.group, type(system.nodes[name]).__name__, *timing)


def _edge_kind(system: System, name: str) -> tuple[Any, ...] | None:
    edge = system.edges[name]
    if edge.group is None:
        return None
    return "edge", edge.group, edge.window, _edge_options(edge), _network(edge), system.timing.edge(name).expected_delay


def _label(group: str | None, names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{group} x {len(names)}"


def _ends(system: System, nodes: Iterable[str]) -> str:
    """Names the nodes at one end of edges that share a line."""
    names = sorted(set(nodes))
    return names[0] if len(names) == 1 else ", ".join(dict.fromkeys(system.specs[name].group or name for name in names))


def _once(found: Iterable[str]) -> Iterator[str]:
    """Yields warnings once, and counts those that differ only in numbers, as those of replicas do."""
    alike: dict[str, list[str]] = {}
    for line in found:
        alike.setdefault(re.sub(r"\d+(\.\d+)?", "#", line), []).append(line)
    for lines in alike.values():
        yield lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more like it)"


def simulate_quickly(experiment: Experiment, system: System) -> tuple[Statistics, int, int]:
    """Returns statistics of a short simulation, and its number of episodes and steps."""
    episodes, steps = quick(experiment, system)

    def sample(kind: Literal["node", "edge", "loss"], name: str, ticks: int) -> npt.NDArray[Any]:
        return system.sample_delays(kind, name, experiment.seed, episodes, ticks)

    return statistics(simulate(system.timing, sample, episodes=episodes, steps=steps)), episodes, steps


def quick(experiment: Experiment, system: System) -> tuple[int, int]:
    """Returns the number of episodes and steps of a simulation that takes little memory and time.

    Raises:
        RexError: even one step takes too much.
    """
    episodes, steps = EPISODES, STEPS
    while (takes := extent(system.timing, episodes=episodes, steps=steps)).size > QUICK:
        if (episodes, steps) == (1, 1):
            supervisor = system.supervisor
            fastest = max(system.specs.values(), key=lambda spec: spec.rate)
            where = experiment.origins.where(f"nodes.{fastest.name}.rate")
            raise RexError(
                f"{where}: nodes.{fastest.name}.rate={fastest.rate:g}: one step of supervisor '{supervisor}' takes "
                f"{takes.horizon:g} s to simulate, {takes.horizon * fastest.rate:.3g} steps of '{fastest.name}' and "
                f"{memory_limit.shown(takes.size)} of memory; lower this rate, raise nodes.{supervisor}.rate="
                f"{system.specs[supervisor].rate:g}, or give shorter delays"
            )
        episodes, steps = (episodes // 2, steps) if episodes > 1 else (1, steps // 2)
    return episodes, steps


def warnings(system: System, measured: Statistics, steps: int = STEPS) -> Iterator[str]:
    """Yields what looks wrong, each with figures and what to do."""
    for name, node in measured.nodes.items():
        yield from _node_warnings(system, system.specs[name], node)
    for name, edge in measured.edges.items():
        yield from _edge_warnings(system, system.edges[name], edge, steps)
    if not system.inputs(system.supervisor):
        yield f"supervisor '{system.supervisor}' reads nothing; add an edge to it, or choose another supervisor"
    joined = {end for edge in system.edges.values() for end in (edge.source, edge.target)}
    for name in system.specs:
        if name not in joined and len(system.specs) > 1:
            yield f"node '{name}' has no edge; nothing that it does matters to the others"


def _node_warnings(system: System, spec: NodeSpec, node: NodeStatistics) -> Iterator[str]:
    period, expected = 1 / spec.rate, system.timing.node(spec.name).expected_delay / NANOSECONDS
    which, limit = f"node '{spec.name}'", f"its period is {_ms(period)}; lower its rate or its delay"
    if node.load.mean > 1:
        takes = _ms(node.load.mean * period)
        slow = f"{which} cannot keep {spec.rate:g} Hz: its mean computation delay is {takes}, {limit}"
        yield f"{slow}; {_to_edge(system, spec)}"
    elif expected > period:
        late = f"{which} is late now and then: its computation delay is expected to be {_ms(expected)}, {limit}"
        yield f"{late}; {_to_edge(system, spec)}"
    if node.lateness.mean > 2 * period and not spec.advance:
        yield (
            f"{which} starts {_ms(node.lateness.mean)} behind its schedule in the mean, more than two periods: it is "
            "too slow, or what it waits for comes too late"
        )


def _to_edge(system: System, spec: NodeSpec) -> str:
    """Says what to do about a delay during which a node need not be busy."""
    keys = ", ".join(f"edges.{edge.name}.delay" for edge in system.outputs(spec.name)) or "the delay of an edge"
    return (
        "a node's delay keeps it busy, an edge's is time in flight: if it is free to go on meanwhile, as a camera is "
        f"whose frames take long to arrive, move the delay to the edge ({keys})"
    )


def _edge_warnings(system: System, edge: Edge, measured: EdgeStatistics, steps: int) -> Iterator[str]:
    ends = f"edge '{edge.name}' ({edge.source} -> {edge.target})"
    sends, reads = system.specs[edge.source].rate, system.specs[edge.target].rate
    rates = f"{sends:g} Hz to {reads:g} Hz"
    # A reader that is slower than the sender sees a part of the messages, on purpose.
    if measured.unread > max(0.0, 1 - edge.window * reads / sends) + 0.3:
        yield (
            f"{ends}: {measured.unread:.0%} of its messages are never read ({rates}, window {edge.window}); widen the "
            f"window or lower the rate of '{edge.source}'"
        )
    if measured.late > 0.5:
        yield (
            f"{ends}: {measured.late:.0%} of its messages are read later than expected; raise expected_delay, "
            f"now {_ms(system.timing.edge(edge.name).expected_delay / NANOSECONDS)}"
        )
    if math.isnan(measured.age_newest.mean):
        yield f"{ends}: nothing arrives within {steps} steps; check its delay and loss, {_network(edge)}"


def _system(experiment: Experiment, system: System, simulated: str) -> Table:
    order = ", ".join(
        _label(group, names)
        for group, run in groupby(system.init_order, lambda name: system.specs[name].group)
        for names in ([list(run)] if group is not None else [[name] for name in run])
    )
    task = None if experiment.env is None else experiment.env.target
    shortest = "" if not any(map(system.adjustable, system.specs)) else ", with adjustable delays at their shortest"
    rows = [
        ("name", experiment.name),
        ("supervisor", system.supervisor),
        ("initialised in order", order),
        ("environment", task),
        ("clock", experiment.clock),
        ("seed", str(experiment.seed)),
        ("measured over", f"{simulated}{shortest}"),
    ]
    return Table("experiment", ("key", "value"), rows)


def _nodes(system: System, measured: Statistics, lines: list[list[str]]) -> Table:
    columns = ("node", "class", "rate Hz", "phase ms", "load", "load p99", "late ms", "late ms p99")
    rows, options = [], []
    for names in lines:
        spec, seen = system.specs[names[0]], [measured.nodes[name] for name in names]
        rows.append(
            (
                _label(spec.group, names),
                type(system.nodes[names[0]]).__name__,
                spec.rate,
                seen[0].phase * 1e3,
                _percent(_mean(each.load.mean for each in seen)),
                _percent(_most(each.load.p99 for each in seen)),
                _mean(each.lateness.mean for each in seen) * 1e3,
                _most(each.lateness.p99 for each in seen) * 1e3,
            )
        )
        words = (("phase", spec.scheduling == "phase"), ("advance", spec.advance))
        options.append(", ".join(word for word, on in words if on))
    return _with_options(Table(_title("nodes", lines), columns, rows), "timing", options)


def _edges(system: System, lines: list[list[str]]) -> Table:
    columns = ("edge", "from", "to", "window", "options")
    rows, inputs = [], []
    for names in lines:
        edges = [system.edges[name] for name in names]
        ends = (_ends(system, (getattr(edge, end) for edge in edges)) for end in ("source", "target"))
        rows.append((_label(edges[0].group, names), *ends, edges[0].window, _edge_options(edges[0])))
        given = list(dict.fromkeys(edge.input if edge.input != edge.source else "" for edge in edges))
        inputs.append(given[0] if len(given) == 1 else f"{given[0]} to {given[-1]}")
    return _with_options(Table("edges", columns, rows), "input", inputs)


def _mean(values: Iterable[float]) -> float:
    """Returns the mean of the values that are not NaN."""
    found = [value for value in values if not math.isnan(value)]
    return float(np.mean(found)) if found else math.nan


def _most(values: Iterable[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _title(what: str, lines: list[list[str]]) -> str:
    """Returns a table's title, which says what the numbers mean in a line of several names."""
    several = any(len(names) > 1 for names in lines)
    return f"{what} (of several: the mean, and the largest p99 and max)" if several else what


def _edge_options(edge: Edge) -> str:
    options = (
        ("blocking", edge.blocking),
        ("skip", edge.skip),
        ("buffer", edge.jitter == "buffer"),
        ("adjustable", isinstance(edge.delay, AdjustableDelay)),
        ("reorder", edge.reorder),
    )
    return ", ".join(word for word, on in options if on) or "-"


def _with_options(table: Table, name: str, options: list[str]) -> Table:
    """Adds a column of options if any row has one."""
    if not any(options):
        return table
    rows = [(*row, option or "-") for row, option in zip(table.rows, options, strict=True)]
    return Table(table.title, (*table.columns, name), rows)


def _messages(system: System, measured: Statistics, lines: list[list[str]]) -> Table:
    """Returns the table of messages.

    Age: how old the newest message is at a step. No news: steps that see nothing new.
    """
    columns = ("edge", "age ms", "age ms p99", "age ms max", "never read", "read late", "no news")
    rows, lost = [], []
    for names in lines:
        seen = [measured.edges[name] for name in names]
        rows.append(
            (
                _label(system.edges[names[0]].group, names),
                _mean(each.age_newest.mean for each in seen) * 1e3,
                _most(each.age_newest.p99 for each in seen) * 1e3,
                _most(each.age_newest.max for each in seen) * 1e3,
                _percent(_mean(each.unread for each in seen)),
                _percent(_mean(each.late for each in seen)),
                _percent(_mean(each.stale for each in seen)),
            )
        )
        losing = [each for each in seen if each.lost]
        share, burst = _mean(each.lost for each in seen), _mean(each.burst for each in losing)
        lost.append(f"{share:.1%} ({burst:.1f} in a row)" if losing else "")
    return _with_options(Table(_title("messages", lines), columns, rows), "lost", lost)


def _delays(system: System, nodes: list[list[str]], edges: list[list[str]]) -> Table:
    rows = []
    for names in nodes:
        spec, timing = system.specs[names[0]], system.timing.node(names[0])
        rows.append((_label(spec.group, names), repr(spec.delay), timing.expected_delay / NANOSECONDS * 1e3))
    for names in edges:
        edge, expected = system.edges[names[0]], system.timing.edge(names[0]).expected_delay
        rows.append((_label(edge.group, names), _network(edge), expected / NANOSECONDS * 1e3))
    return Table("delays", ("of", "distribution", "expected ms"), rows)


def _drawn(system: System) -> Iterator[Table]:
    """Yields a table of what each episode draws at random, if anything."""
    rows = [(name, repr(entry), _drawn_for(system, name)) for name, entry in system.randomize.each()]
    for key, values in system.posterior.items():
        spread = f"{values.mean():.4g} ± {values.std():.2g}, posterior"
        name = key.removeprefix("nodes/").replace("/", ".")
        rows.append((f"{name}.delay" if key.startswith("edges/") else name, spread, "each episode"))
    if rows:
        yield Table("drawn anew", ("what", "range", "for"), rows)


def _drawn_for(system: System, name: str) -> str:
    section, _, rest = name.partition(".")
    part = rest.removesuffix(".delay")
    if section not in ("nodes", "edges") or not rest.endswith(".delay"):
        return "each episode"
    adjustable = section == "edges" and isinstance(system.edges[part].delay, AdjustableDelay)
    return "each episode" if adjustable else "each episode of the timeline, all its delays alike"


def _network(edge: Edge) -> str:
    """Describes what an edge does to messages."""
    return f"{edge.delay!r}; {edge.loss!r}" if edge.loss.share else repr(edge.delay)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.0%}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
