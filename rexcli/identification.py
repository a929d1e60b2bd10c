"""Identifies parameters and delays with which an experiment reproduces recordings, for `rex identify` and notebooks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax

from rexcli.compiler import backend
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.config.build import build_optimizer, build_system
from rexcli.config.project import Project, find_project
from rexcli.config.schema import Experiment
from rexcli.errors import RexError, suggest
from rexcli.identify.identify import Identification
from rexcli.identify.identify import identify as run_identification
from rexcli.identify.levenberg import LevenbergMarquardt
from rexcli.identify.optimizer import Progress
from rexcli.identify.problem import Problem
from rexcli.identify.recorded import signals_of
from rexcli.identify.replay import replaying
from rexcli.identify.unknowns import Unknowns
from rexcli.runs.view import find_run
from rexcli.system.system import System
from rexcli.timeline.edit import stack
from rexcli.timeline.timeline import Timeline
from rexcli.timelines import timeline_for


def make_problem(
    experiment: Experiment, project: Project | None = None
) -> tuple[Problem, Timeline, System, list[Path]]:
    """Returns the problem that `identify` declares, on the recordings of `from=RUN` and `identify.recordings`.

    Returns:
        The problem, the timeline of all recordings, the system with its replayed nodes, and the runs.

    Raises:
        RexError: for mistakes in declarations, and recordings that lack what is needed.
    """
    declared = experiment.identify
    if experiment.from_run is None:
        raise RexError("identify needs a recording: give its run, rex identify latest:record")
    unknowns = Unknowns(declared)
    (build_optimizer(experiment, project) or LevenbergMarquardt()).check(unknowns)
    edges = dict(experiment.edges)
    for name in declared.edges:
        if name not in edges:
            raise RexError(f"identify.edges: no edge is called '{name}'{suggest(name, list(edges))}")
        edges[name] = replace(edges[name], delay=unknowns.adjustable(name, experiment.nodes[edges[name].target].rate))
    experiment = replace(experiment, edges=edges, randomize=None)  # one number of each is looked for
    system = build_system(experiment, project)
    timelines, recordings, parents = [], [], []
    for run in [str(experiment.from_run), *declared.recordings]:
        view = find_run(run, (project or find_project()).outputs, having=("recording.mcap",))
        timeline, _ = timeline_for(replace(experiment, from_run=str(view.path)), system, project)
        timelines.append(timeline)
        recordings.append(view.recording())
        parents.append(view.path)
    timeline = stack(timelines)
    replay = [system.supervisor] if declared.replay is None else declared.replay
    if system.supervisor not in replay:
        raise RexError(f"identify.replay: the supervisor, '{system.supervisor}', is to be replayed; add it")
    system = replaying(system, replay, recordings)
    simulated = [name for name in system.nodes if name not in replay]
    signals = signals_of(declared.signals, recordings, timeline, simulated, experiment.plots.angles)
    plan = make_plan(timeline, mode=experiment.compile.mode, prune=False)
    program = Program(system, plan, backend.choose_skip(experiment.compile.skip))
    devices = backend.choose_devices(experiment.compile.devices)
    problem = Problem(program, timeline, signals, unknowns, declared, jax.random.key(experiment.seed), devices)
    return problem, timeline, system, parents


def identify(
    experiment: Experiment, project: Project | None = None, progress: Progress = lambda share, note: None
) -> Identification:
    """Returns parameters and delays with which the experiment reproduces recordings, as `identify` declares."""
    problem, *_ = make_problem(experiment, project)
    return solve(experiment, problem, project, progress)


def solve(
    experiment: Experiment,
    problem: Problem,
    project: Project | None = None,
    progress: Progress = lambda share, note: None,
) -> Identification:
    """Solves a problem of `make_problem`."""
    declared = experiment.identify
    optimizer = build_optimizer(experiment, project)
    return run_identification(problem, optimizer, seed=experiment.seed, refine=declared.refine, progress=progress)
