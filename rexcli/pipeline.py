"""The pipeline from YAML to a policy, one call a stage: what the commands drive, and the door for notebooks.

YAML -> `compose` -> Experiment -> `build` -> System -> `simulate` (or a recording) -> Timeline -> `compile` -> Program
-> `rollout`, `train`, `evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from rexcli import sizes
from rexcli.compiler import backend, recording
from rexcli.compiler.plan import Plan, make_plan
from rexcli.compiler.program import Program
from rexcli.compiler.rollouts import Rollouts, check_rollouts, run_rollouts
from rexcli.config.build import build_environment, build_system
from rexcli.config.compose import compose as compose_experiment
from rexcli.config.compose import plain_config
from rexcli.config.project import Project, find_project
from rexcli.config.schema import Experiment
from rexcli.errors import RexError, suggest
from rexcli.rl.actions import Controller, make_controller
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.environment import Environment
from rexcli.rl.evaluate import Evaluation, check_metrics, timelines_of
from rexcli.rl.evaluate import evaluate as evaluate_controller
from rexcli.rl.policy import Policy
from rexcli.rl.ppo import PPO
from rexcli.rl.process_group import ALONE, ProcessGroup
from rexcli.rl.seed_batch import check_checkpoint
from rexcli.rl.train import Progress, Training
from rexcli.rl.train import check_size as check_training_size
from rexcli.rl.train import train as train_seeds
from rexcli.rl.train import train_worker as train_worker_seeds
from rexcli.rl.vector_env import check_length
from rexcli.runs.recording import RecordingWriter
from rexcli.runs.view import RunView, find_run
from rexcli.runtime.recorder import Recorder
from rexcli.runtime.stepper import Listener, Listeners, Stepper
from rexcli.runtime.wall.session import Outcome, WallClock, Watch
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.call import StepFunction
from rexcli.system.infer_outputs import trace_steps
from rexcli.system.init import init_graph_state
from rexcli.system.system import System
from rexcli.timeline.edit import augment, check_rules, deliver, drop
from rexcli.timeline.extent import extent
from rexcli.timeline.simulate import simulate as simulate_timeline
from rexcli.timeline.spec import SystemTiming, nanoseconds
from rexcli.timeline.timeline import Timeline, Times
from rexcli.timeline.unroll import Sample

PyTree = Any


def compose(conf: str | None = None, *overrides: str) -> Experiment:
    """The experiment `conf/<conf>.yaml` with overrides as on the command line: `compose("pendulum", "seed=7")`."""
    return compose_experiment(conf, list(overrides))


def build(experiment: Experiment) -> System:
    """The system that an experiment declares."""
    backend.prepare(experiment.compile.devices)
    return build_system(experiment)


def environment(experiment: Experiment, system: System) -> Environment:
    """The task that an experiment declares, on its system."""
    return build_environment(experiment, system)


def sampler(system: System, seed: int, episodes: int) -> Sample:
    """Delays of a system's nodes and edges, as `rexcli.timeline` takes them."""

    def sample(kind: Literal["node", "edge"], name: str, ticks: int) -> Times:
        return system.sample_delays(kind, name, seed, episodes, ticks)

    return sample


def simulate(
    system: System, *, seed: int = 0, episodes: int = 1, steps: int | None = None, seconds: float | None = None
) -> Timeline:
    """A timeline of `steps` supervisor steps or of `seconds` an episode.

    Raises:
        RexError: for a system that no clock could run, and for more than fits into memory.
    """
    _check_size(system, episodes, steps, seconds)
    return simulate_timeline(
        system.timing, sampler(system, seed, episodes), episodes=episodes, steps=steps, seconds=seconds
    )


def _check_size(system: System, episodes: int, steps: int | None, seconds: float | None) -> None:
    """Refuses a timeline that does not fit into memory."""
    timing = system.timing
    takes = extent(timing, episodes=episodes, steps=steps, seconds=seconds)
    late = (
        f" (its delays let supervisor '{timing.supervisor}' begin after {takes.phase:g} s: give shorter ones)"
        if takes.phase > takes.length / 2
        else ""
    )
    sizes.check(
        takes.size,
        f"{episodes} episodes of {takes.length:g} s",
        "give fewer or shorter ones: record.steps, record.seconds and record.episodes, timeline.steps and "
        f"timeline.episodes, eval.seconds, eval.episodes or ppo.num_eval_envs{late}",
    )


def timeline_for(
    experiment: Experiment, system: System, project: Project | None = None, *, task: Environment | None = None
) -> tuple[Timeline, list[Path]]:
    """The timeline to compile: the one of `from=RUN`, or a simulated one.

    What is simulated to train on `task` is long enough for its episodes, even if `timeline.steps` is not.

    Nodes and edges that a recording has and the system has not are left out; those that it lacks are simulated
    around it. Edges of adjustable delay have the shortest in place of what was recorded. All else has the times of the
    recording, whatever delays the experiment declares.

    Returns:
        The timeline, and the runs that it came from.

    Raises:
        RexError: where there is no such run, it is of another system or was made by other rules of time, and for what
            was typed that a recording decides.
    """
    declared = experiment.timeline
    if experiment.from_run is None:
        steps = declared.steps if task is None else max(declared.steps, task.max_steps)
        return simulate(system, seed=experiment.seed, episodes=declared.episodes, steps=steps), []
    view = parent(experiment, project)
    recorded = _fit(view.timeline(), system.timing, view.path)
    _check_recorded(experiment, recorded, system, view)
    sample = sampler(system, experiment.seed, recorded.num_episodes)
    if len(recorded.steps) < len(system.nodes) or len(recorded.messages) < len(system.edges):
        recorded = augment(recorded, system.timing, sample)
    shortest = {
        name: nanoseconds(edge.delay.low)
        for name, edge in system.edges.items()
        if isinstance(edge.delay, AdjustableDelay)
    }
    return deliver(replace(recorded, spec=system.timing), shortest), [view.path]


def _check_recorded(experiment: Experiment, recorded: Timeline, system: System, view: RunView) -> None:
    """Refuses what the experiment says otherwise than the recording, or in vain."""
    where = experiment.origins.where
    try:
        check_rules(recorded.spec, system.timing)
    except RexError as error:
        key = str(error).partition("=")[0]
        raise RexError(f"{where(key)}: {error}") from None
    for key in ("timeline.episodes", "timeline.steps", "delays"):
        if experiment.origins.typed(key):
            raise RexError(f"{where(key)}: {key}: from={view.path} has a timeline of its own; leave one of the two out")
    declared = plain_config(experiment)
    fixed = [
        edge.name for edge in recorded.spec.edges if not isinstance(system.edges[edge.name].delay, AdjustableDelay)
    ]
    for section, names in (("nodes", list(recorded.steps)), ("edges", fixed)):
        for name in names:
            then = (view.config.get(section) or {}).get(name) or {}
            key = f"{section}.{name}.delay"
            if experiment.origins.typed(key) and then.get("delay") != declared[section][name]["delay"]:
                raise RexError(
                    f"{where(key)}: {key}: from={view.path} has the delays that were recorded; leave it out, or leave "
                    "from= out to simulate"
                )


def saved_plan(
    experiment: Experiment, timeline: Timeline, project: Project | None = None, *, observed: Collection[str] = ()
) -> Plan | None:
    """The plan that `from=RUN` left, if it was made for this timeline, as `compile` says, and for a task that looks at
    the nodes in `observed`; else None."""
    if experiment.from_run is None:
        return None
    view = parent(experiment, project)
    declared, saved = experiment.compile, view.config.get("compile")
    same = isinstance(saved, dict) and all(
        saved.get(key) == getattr(declared, key) for key in ("mode", "prune", "ahead")
    )
    if not same or not view.has("plan.npz"):
        return None
    adjustable = [edge.name for edge in timeline.spec.edges if edge.adjustable]
    if adjustable and not _read_alike(timeline, view.timeline(), adjustable):
        return None
    plan = view.plan(timeline)
    return plan if set(plan.observed) >= set(observed) else None


def _read_alike(one: Timeline, other: Timeline, edges: list[str]) -> bool:
    """Whether every message of some edges has the same reader in both."""
    return all(
        name in other.messages and np.array_equal(one.messages[name].reader, other.messages[name].reader)
        for name in edges
    )


def evaluation_timeline(
    experiment: Experiment, system: System, task: Environment, project: Project | None = None, *, training: bool = False
) -> tuple[Timeline, list[Path]]:
    """A timeline for evaluations: the one of `from=RUN`, or delays that no training with this seed has met.

    Args:
        experiment: that declares it.
        system: that it declares.
        task: whose supervisor's steps are counted.
        project: where `from=RUN` is looked for.
        training: for the evaluations on the way, by which the best policy is chosen; the others are on other delays.
    """
    if experiment.from_run is not None:
        return timeline_for(experiment, system, project)
    seed = (experiment.seed + (VALIDATION if training else EVALUATION)) % 2**32
    episodes = experiment.ppo.num_eval_envs if training else experiment.eval.episodes
    steps = task.steps_in(experiment.eval.seconds)
    return simulate(system, seed=seed, episodes=timelines_of(episodes), steps=steps), []


def evaluation_program(
    experiment: Experiment, program: Program, task: Environment, *, training: bool = False
) -> Program:
    """Where to evaluate what is trained on `program`: on fresh delays, see `evaluation_timeline`, or with `from=RUN` on
    the recording itself."""
    if experiment.from_run is not None:
        return program
    timeline, _ = evaluation_timeline(experiment, program.system, task, training=training)
    return compile(experiment, program.system, timeline, task=task)


def parent(experiment: Experiment, project: Project | None = None) -> RunView:
    """The run of `from=RUN`, which has a timeline."""
    assert experiment.from_run is not None
    outputs = (project or find_project()).outputs
    return find_run(experiment.from_run, outputs, having=("timeline.npz", "recording.mcap"))


def _fit(recorded: Timeline, system: SystemTiming, path: Path) -> Timeline:
    """A recording without the nodes and edges that the system does not have.

    Raises:
        RexError: if an edge has other ends, or the supervisor was not recorded.
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


def controller(
    experiment: Experiment, system: System, project: Project | None = None
) -> tuple[Controller | None, list[Path]]:
    """Who decides what the supervisor sends, as `action` and `policy` say.

    Returns:
        A step for the supervisor, None for its own code; and the runs that it came from.
    """
    policy, parents = None, []
    if experiment.policy is not None:
        policy, path = load_policy(experiment.policy, project)
        parents.append(path)
    source = experiment.action.source or ("node" if policy is None else "policy")
    task = None if experiment.env is None else build_environment(experiment, system, project)
    return make_controller(source, system, task, value=experiment.action.value, policy=policy), parents


def load_policy(run: str, project: Project | None = None) -> tuple[Policy, Path]:
    """The policy of a training run, and the run's folder."""
    view = find_run(run, (project or find_project()).outputs, having=("policy/policy.json",))
    return Policy.load(view.path / "policy"), view.path


def check_steps(system: System, controller: Controller | None = None) -> None:
    """Traces the steps, so that what one raises is raised before anything is made; not beside plain Python, which may
    be a robot's."""
    if all(node.jit for node in system.nodes.values()):
        state = jax.eval_shape(lambda: init_graph_state(system, jax.random.key(0)))
        trace_steps(system, state, list(system.nodes), controller)


MANY_STEPS = 4000
"""Supervisor steps that take the stepper longer than it takes to compile a program."""


def executor(
    experiment: Experiment, system: System, timeline: Timeline, controller: Controller | None = None
) -> Literal["stepper", "program"]:
    """What runs a simulated recording, as `record.executor` says.

    Both give the same steps, up to the last digits of floating-point numbers. `auto` takes the program for long
    recordings of nodes that can be compiled, as fast as possible.

    Raises:
        RexError: if the program is asked for and cannot be.
    """
    declared = experiment.record.executor
    if declared == "stepper" or (declared == "auto" and int(timeline.num_steps.sum()) < MANY_STEPS):
        return "stepper"
    paced = experiment.real_time_factor > 0
    why = "real_time_factor paces it" if paced else recording.why_not(system, controller)
    if why is None:
        return "program"
    if declared == "auto":
        return "stepper"
    raise RexError(
        f"{experiment.origins.where('record.executor')}: record.executor=program: {why}; give record.executor=stepper"
    )


def record(
    experiment: Experiment,
    system: System,
    timeline: Timeline | None = None,
    *,
    writer: RecordingWriter | None = None,
    runs: Literal["stepper", "program"] | None = None,
    listener: Listener | None = None,
    controller: Controller | None = None,
    params: Mapping[str, PyTree] | None = None,
    on_steps: Callable[[int], None] | None = None,
) -> Timeline:
    """Runs the system on its simulated clock, all episodes one after another.

    Args:
        experiment: whose seed and pace.
        system: to run.
        timeline: to run on; simulated as `experiment.record` says if None.
        writer: of a recording.
        runs: what `executor` gave, where it was asked already.
        listener: is told of every step, such as a `Memory`; the stepper runs the system then.
        controller: steps the supervisor; its own code if None.
        params: parameters by node, in place of what `init_params` gives.
        on_steps: is told how many supervisor steps more were made.

    Returns:
        The timeline.
    """
    if timeline is None:
        timeline = record_timeline(experiment, system)
    rng = jax.random.key(experiment.seed)
    if writer is not None and listener is None:
        if (runs or executor(experiment, system, timeline, controller)) == "program":
            skip = backend.choose_skip(experiment.compile.skip)
            recording.record(
                system, timeline, writer, rng, skip=skip, controller=controller, params=params, on_steps=on_steps
            )
            return timeline
        listener = Recorder(writer, system, timeline)
    elif writer is not None and listener is not None:
        listener = Listeners((Recorder(writer, system, timeline), listener))
    stepper = Stepper(system, timeline, listener, experiment.real_time_factor)
    try:
        for episode in range(timeline.num_episodes):
            start = stepper.init(jax.random.fold_in(rng, episode), params, eps=episode)
            graph_state, _ = stepper.reset(start)
            for _ in range(int(timeline.num_steps[episode])):
                graph_state = stepper.run(graph_state, controller)
                if on_steps is not None:
                    on_steps(1)
    finally:
        stepper.stop()
    return timeline


def record_wall(
    experiment: Experiment,
    system: System,
    *,
    writer: RecordingWriter | None = None,
    controller: StepFunction | None = None,
    params: Mapping[str, PyTree] | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Runs the system in real time, as `experiment.record` and `experiment.wall` say.

    Args:
        experiment: whose seed and settings.
        system: to run.
        writer: of the recording.
        controller: steps the supervisor; its own code if None.
        params: parameters by node, in place of what `init_params` gives.
        watch: is called now and then with the episode that runs.

    Returns:
        How it ended; `Outcome.check` raises what went wrong.
    """
    if experiment.real_time_factor not in (0.0, 1.0):
        where = experiment.origins.where("real_time_factor")
        raise RexError(
            f"{where}: real_time_factor={experiment.real_time_factor:g}: the wall clock runs in real time; leave "
            "it out, or give clock=simulated"
        )
    declared = experiment.record
    clock = WallClock(system, writer, controller=controller, settings=experiment.wall)
    return clock.run(
        jax.random.key(experiment.seed),
        episodes=declared.episodes,
        steps=declared.steps if declared.seconds is None else None,
        seconds=declared.seconds,
        params=params,
        watch=watch,
    )


def record_timeline(experiment: Experiment, system: System) -> Timeline:
    """The timeline that `experiment.record` asks for."""
    declared = experiment.record
    steps = declared.steps if declared.seconds is None else None
    return simulate(system, seed=experiment.seed, episodes=declared.episodes, steps=steps, seconds=declared.seconds)


def compile(
    experiment: Experiment,
    system: System,
    timeline: Timeline,
    plan: Plan | None = None,
    *,
    task: Environment | None = None,
) -> Program:
    """The program of a system on a timeline.

    Args:
        experiment: whose options.
        system: that it declares.
        timeline: of that system.
        plan: of that timeline; skips the search for its template.
        task: whose view of the system between steps the program is to serve; None for the experiment's own.
    """
    if plan is None:
        if task is None and experiment.env is not None:
            task = environment(experiment, system)
        plan = plan_for(experiment, timeline, observed=() if task is None else task.observed)
    return Program(system, plan, backend.choose_skip(experiment.compile.skip))


def plan_for(experiment: Experiment, timeline: Timeline, *, observed: Collection[str] = ()) -> Plan:
    """The plan of a timeline as `experiment.compile` says; `observed` as for `make_plan`."""
    declared = experiment.compile
    return make_plan(timeline, mode=declared.mode, prune=declared.prune, lookahead=declared.ahead, observed=observed)


def check_rollout(experiment: Experiment, program: Program) -> None:
    """Refuses what `rollout` could not do, before anything is made."""
    backend.choose_devices(experiment.compile.devices)
    check_rollouts(program, experiment.rollout.num, experiment.rollout.steps)
    for name in experiment.rollout.keep.nodes or ():
        if name not in program.system.nodes:
            known = list(program.system.nodes)
            raise RexError(f"rollout.keep.nodes: no node is called '{name}'{suggest(name, known)}")


def trace(program: Program, controller: Controller | None = None) -> None:
    """Traces an episode, so that what a node's step raises is raised before anything is made."""

    def episode(program: Program) -> PyTree:
        graph_state, _ = program.reset(program.init(jax.random.key(0)))
        return program.rollout(graph_state, 1, controller=controller, keep={})[0]

    jax.eval_shape(episode, program)


def check_training(
    experiment: Experiment,
    program: Program,
    task: Environment,
    evaluation: Program,
    group: ProcessGroup = ALONE,
    start: Checkpoint | None = None,
) -> None:
    """Refuses what `train` could not do, before anything is made.

    Args:
        experiment: whose settings.
        program: to train on.
        task: to train.
        evaluation: the program to evaluate on.
        group: who shares the seeds.
        start: the checkpoint to go on from.
    """
    backend.choose_devices(experiment.compile.devices)
    group.check(experiment.ppo.num_seeds)
    ppo = PPO(task, experiment.ppo)
    check_training_size(ppo, program, group)
    check_length(program, task)
    if start is not None:
        check_checkpoint(start, ppo, program, jax.random.key(experiment.seed))
    check_evaluation(experiment, evaluation, task)


def check_evaluation(experiment: Experiment, program: Program, task: Environment) -> None:
    """Refuses episodes that are longer than the timeline, and metrics that make nothing of them."""
    seconds, longest = experiment.eval.seconds, int(program.length.max())
    steps = task.steps_in(seconds)
    if steps > longest:
        raise RexError(
            f"eval.seconds={seconds:g} takes {steps} supervisor steps, but the timeline has {longest}; simulate or "
            f"record {steps} or more, or set eval.seconds={longest / task.supervisor.rate:g}"
        )
    try:
        check_metrics(program, task, seconds)
    except RexError as error:
        key = str(error).partition(":")[0]
        raise RexError(f"{experiment.origins.where(key)}: {error}") from error


def rollout(
    experiment: Experiment,
    program: Program,
    *,
    controller: Controller | None = None,
    params: Mapping[str, PyTree] | None = None,
) -> Rollouts:
    """`rollout.num` episodes in parallel."""
    check_rollout(experiment, program)
    declared = experiment.rollout
    fields: tuple[str, ...] = tuple(declared.keep.fields)
    names = list(program.system.nodes) if declared.keep.nodes is None else declared.keep.nodes
    return run_rollouts(
        program,
        jax.random.key(experiment.seed),
        declared.num,
        steps=declared.steps,
        params=params,
        controller=controller,
        keep=dict.fromkeys(names, fields),
        devices=backend.choose_devices(experiment.compile.devices),
    )


def train(
    experiment: Experiment,
    program: Program,
    task: Environment,
    *,
    evaluation: Program | None = None,
    on_compiled: Callable[[float], None] | None = None,
    on_evaluation: Callable[[Progress], None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    start: Checkpoint | None = None,
    group: ProcessGroup = ALONE,
    stop: Callable[[], bool] | None = None,
) -> Training:
    """PPO with `experiment.ppo`, several seeds in parallel; from a checkpoint on if `start` gives one.

    Evaluations on the way run on `evaluation`, on fresh delays if None (those of the recording with `from=RUN`). With a
    group, this is what process 0 calls; all others `train_worker`.
    """
    if evaluation is None:
        evaluation = evaluation_program(experiment, program, task, training=True)
    check_training(experiment, program, task, evaluation, group)  # of `start`, the next looks
    return train_seeds(
        program,
        task,
        experiment.ppo,
        jax.random.key(experiment.seed),
        evaluation=evaluation,
        eval_seconds=experiment.eval.seconds,
        devices=backend.choose_devices(experiment.compile.devices),
        on_compiled=on_compiled,
        on_evaluation=on_evaluation,
        on_checkpoint=on_checkpoint,
        start=start,
        group=group,
        stop=stop,
    )


def train_worker(
    experiment: Experiment,
    program: Program,
    task: Environment,
    group: ProcessGroup,
    *,
    stop: Callable[[], bool] | None = None,
) -> bool:
    """The part of every process but process 0 in a training of several; returns whether it was stopped early."""
    return train_worker_seeds(
        program,
        task,
        experiment.ppo,
        jax.random.key(experiment.seed),
        group=group,
        evaluation=evaluation_program(experiment, program, task, training=True),
        eval_seconds=experiment.eval.seconds,
        devices=backend.choose_devices(experiment.compile.devices),
        stop=stop,
    )


def evaluate(experiment: Experiment, program: Program, task: Environment, policy: Policy) -> Evaluation:
    """`eval.episodes` episodes from fresh starts, which no training with this seed has seen."""
    check_evaluation(experiment, program, task)
    declared = experiment.eval
    rng = jax.random.fold_in(jax.random.key(experiment.seed), EVALUATION)
    done = _evaluate(program, policy, rng, _AsItIs(task), episodes=declared.episodes, seconds=declared.seconds)
    return jax.tree.map(np.asarray, done)


@partial(jax.jit, static_argnames=("task", "episodes", "seconds"))
def _evaluate(
    program: Program, policy: Policy, rng: jax.Array, task: _AsItIs, *, episodes: int, seconds: float
) -> Evaluation:
    """Compiled once for a task, a layout of the program and a network."""
    act = policy.controller(task.task)
    return evaluate_controller(program, task.task, act, rng, episodes=episodes, seconds=seconds)


class _AsItIs:
    """A task as it is now: equal to itself as long as none of its attributes is given another value."""

    def __init__(self, task: Environment):
        self.task = task
        self._attributes: dict[Any, Any] = {}
        for name, value in vars(task).items():
            entries = value.items() if isinstance(value, Mapping) else [(None, value)]
            self._attributes |= {(name, key): entry for key, entry in entries if not name.startswith("_")}

    def __hash__(self) -> int:
        return id(self.task)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _AsItIs) or self.task is not other.task:
            return False
        mine, others = self._attributes, other._attributes
        return mine.keys() == others.keys() and all(value is others[name] for name, value in mine.items())


EVALUATION, VALIDATION = 0x0EA1, 0x7A11
"""Set the random numbers of `evaluate`, and the delays of evaluations on the way, apart from those of training."""
