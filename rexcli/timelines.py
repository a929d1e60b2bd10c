"""Provides the timelines of an experiment: simulated as it declares, or from the run of `from=RUN`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from rexcli import memory_limit
from rexcli.compiler.plan import Plan
from rexcli.config.compose import plain_config
from rexcli.config.project import Project, find_project
from rexcli.config.schema import Experiment
from rexcli.errors import RexError
from rexcli.rl.environment import Environment
from rexcli.rl.evaluate import timelines_of
from rexcli.runs.view import RunView, find_run
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.system import System
from rexcli.timeline import simulate as rules
from rexcli.timeline.edit import augment, check_rules, deliver, drop
from rexcli.timeline.extent import extent
from rexcli.timeline.spec import SystemTiming, nanoseconds
from rexcli.timeline.timeline import Timeline
from rexcli.timeline.unroll import Sample

EVALUATION, VALIDATION = 0x0EA1, 0x7A11
"""Added to an experiment's seed, so that delays of final evaluations, and of those during training, differ from
training's.
"""


def simulate(
    system: System, *, seed: int = 0, episodes: int = 1, steps: int | None = None, seconds: float | None = None
) -> Timeline:
    """Simulates a timeline of `steps` supervisor steps or of `seconds` per episode.

    Raises:
        RexError: if the system cannot be scheduled, or the timeline does not fit into memory.
    """
    takes = extent(system.timing, episodes=episodes, steps=steps, seconds=seconds)
    late = (
        f" (its delays let supervisor '{system.supervisor}' begin after {takes.phase:g} s: give shorter ones)"
        if takes.phase > takes.length / 2
        else ""
    )
    memory_limit.check(
        takes.size,
        f"{episodes} episodes of {takes.length:g} s",
        "give fewer or shorter ones: record.steps, record.seconds and record.episodes, timeline.steps and "
        f"timeline.episodes, eval.seconds, eval.episodes or ppo.num_eval_envs{late}",
    )
    sample = _sampler(system, seed, episodes)
    return rules.simulate(system.timing, sample, episodes=episodes, steps=steps, seconds=seconds)


def _sampler(system: System, seed: int, episodes: int) -> Sample:
    return lambda kind, name, ticks: system.sample_delays(kind, name, seed, episodes, ticks)


def record_timeline(experiment: Experiment, system: System) -> Timeline:
    """Returns the timeline that `experiment.record` declares."""
    declared = experiment.record
    steps = declared.steps if declared.seconds is None else None
    return simulate(system, seed=experiment.seed, episodes=declared.episodes, steps=steps, seconds=declared.seconds)


def timeline_for(
    experiment: Experiment, system: System, project: Project | None = None, *, task: Environment | None = None
) -> tuple[Timeline, list[Path]]:
    """Returns the timeline to compile: that of `from=RUN`, or a simulated one.

    A timeline that is simulated to train on `task` is long enough for its episodes, even if `timeline.steps` is not.

    Nodes and edges of a recording that the system does not have are left out; those that the recording lacks are
    simulated in addition. Edges with an adjustable delay have its lowest value instead of the recorded delays. All
    others have the times of the recording, whatever delays the experiment declares.

    Returns:
        The timeline, and the runs that it came from.

    Raises:
        RexError: if there is no such run, it has another system or other timing rules, or keys were typed that a
            recording determines.
    """
    declared = experiment.timeline
    if experiment.from_run is None:
        steps = declared.steps if task is None else max(declared.steps, task.max_steps)
        return simulate(system, seed=experiment.seed, episodes=declared.episodes, steps=steps), []
    view = find_parent(experiment.from_run, project)
    recorded = _fit(view.timeline(), system.timing, view.path)
    _check_recorded(experiment, recorded, system, view)
    sample = _sampler(system, experiment.seed, recorded.num_episodes)
    if len(recorded.steps) < len(system.nodes) or len(recorded.messages) < len(system.edges):
        recorded = augment(recorded, system.timing, sample)
    shortest = {
        name: nanoseconds(edge.delay.low)
        for name, edge in system.edges.items()
        if isinstance(edge.delay, AdjustableDelay)
    }
    return deliver(replace(recorded, spec=system.timing), shortest), [view.path]


def _check_recorded(experiment: Experiment, recorded: Timeline, system: System, view: RunView) -> None:
    """Raises an error for keys of the experiment that contradict the recording or have no effect on one."""
    where = experiment.origins.where
    try:
        check_rules(recorded.spec, system.timing)
    except RexError as error:
        key = str(error).partition("=")[0]
        raise RexError(f"{where(key)}: {error}") from None
    for key in ("timeline.episodes", "timeline.steps", "delays"):
        if experiment.origins.typed(key):
            raise RexError(f"{where(key)}: {key}: from={view.path} has a timeline of its own; leave one of the two out")
    drawn = [(f"randomize.computation.{name}", name in recorded.steps) for name in system.randomize.computation]
    drawn += [
        (f"randomize.edges.{name}", name in recorded.messages)
        for name in system.randomize.edges
        if not isinstance(system.edges[name].delay, AdjustableDelay)
    ]
    for key, was_recorded in drawn:
        if was_recorded:
            raise RexError(
                f"{where(key)}: {key}: from={view.path} has the delays that were recorded; leave it out, or leave "
                "from= out to simulate"
            )
    declared = plain_config(experiment)
    fixed = [
        edge.name for edge in recorded.spec.edges if not isinstance(system.edges[edge.name].delay, AdjustableDelay)
    ]
    for section, part, names in (
        ("nodes", "delay", list(recorded.steps)),
        ("edges", "delay", fixed),
        ("edges", "loss", list(recorded.messages)),
    ):
        for name in names:
            then = (view.config.get(section) or {}).get(name) or {}
            key = f"{section}.{name}.{part}"
            was = then.get(part, 0.0 if part == "loss" else None)
            if experiment.origins.typed(key) and was != declared[section][name][part]:
                what = "delays" if part == "delay" else "losses"
                raise RexError(
                    f"{where(key)}: {key}: from={view.path} has the {what} that were recorded; leave it out, or leave "
                    "from= out to simulate"
                )


def saved_plan(
    experiment: Experiment, timeline: Timeline, project: Project | None = None, *, observed: Collection[str] = ()
) -> Plan | None:
    """Returns the plan of `from=RUN`, if it was made for this timeline, with the options of `compile`, and for a task
    that uses the states of the nodes in `observed`; else None."""
    if experiment.from_run is None:
        return None
    view = find_parent(experiment.from_run, project)
    declared, saved = experiment.compile, view.config.get("compile")
    same = isinstance(saved, dict) and all(
        saved.get(key) == getattr(declared, key) for key in ("mode", "prune", "ahead")
    )
    if not same or not view.has("plan.npz"):
        return None
    adjustable = [edge.name for edge in timeline.spec.edges if edge.adjustable]
    planned = view.timeline().messages if adjustable else {}
    for name in adjustable:  # whose messages another delay may have given to other steps
        if name not in planned or not np.array_equal(timeline.messages[name].reader, planned[name].reader):
            return None
    plan = view.plan(timeline)
    return plan if set(plan.observed) >= set(observed) else None


def evaluation_timeline(
    experiment: Experiment, system: System, task: Environment, project: Project | None = None, *, training: bool = False
) -> tuple[Timeline, list[Path]]:
    """Returns a timeline for evaluations: that of `from=RUN`, or one with delays that no training with this seed has
    seen.

    Args:
        experiment: the experiment that declares it.
        system: the system that it declares.
        task: the task whose supervisor's steps are counted.
        project: the project in which `from=RUN` is searched.
        training: whether it is for the evaluations during training, by which the best policy is chosen; others have
            other delays.
    """
    if experiment.from_run is not None:
        return timeline_for(experiment, system, project)
    seed = (experiment.seed + (VALIDATION if training else EVALUATION)) % 2**32
    episodes = experiment.ppo.num_eval_envs if training else experiment.eval.episodes
    steps = task.steps_in(experiment.eval.seconds)
    return simulate(system, seed=seed, episodes=timelines_of(episodes), steps=steps), []


def find_parent(run: str, project: Project | None = None) -> RunView:
    """Returns the run of `from=RUN`, which has a timeline."""
    return find_run(run, (project or find_project()).outputs, having=("timeline.npz", "recording.mcap"))


def _fit(recorded: Timeline, system: SystemTiming, path: Path) -> Timeline:
    """Returns a recording without the nodes and edges that the system does not have.

    Raises:
        RexError: if an edge connects other nodes, or the supervisor was not recorded.
    """
    nodes, ends = {node.name for node in system.nodes}, {edge.name: edge for edge in system.edges}
    for edge in recorded.spec.edges:
        declared = ends.get(edge.name)
        if declared is not None and (declared.source, declared.target) != (edge.source, edge.target):
            raise RexError(
                f"from={path}: edge '{edge.name}' was {edge.source} -> {edge.target} when it was recorded, but the "
                f"experiment has {declared.source} -> {declared.target}; give its own conf, or rename the edge"
            )
    if system.supervisor not in recorded.steps:
        known = ", ".join(recorded.steps)
        raise RexError(f"from={path}: supervisor '{system.supervisor}' was not recorded; there are {known}")
    recorded = replace(recorded, spec=replace(recorded.spec, supervisor=system.supervisor))
    return drop(
        recorded,
        nodes=[name for name in recorded.steps if name not in nodes],
        edges=[name for name in recorded.messages if name not in ends],
    )
