"""Provides the pipeline from YAML to a policy, one call per stage, for commands and notebooks.

YAML -> `compose` -> Experiment -> `build` -> System -> `simulate` (or a recording) -> Timeline -> `compile` -> Program
-> `rollout`, `train`, `evaluate`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from rexcli import memory_limit
from rexcli.compiler import backend, recording
from rexcli.compiler.plan import Plan, make_plan
from rexcli.compiler.program import Program
from rexcli.compiler.rollouts import (
    CompiledRollouts,
    Rollouts,
    check_rollouts,
    compile_rollouts,
    find_nan,
    thinned,
)
from rexcli.config.build import build_environment, build_system
from rexcli.config.compose import compose as compose_experiment
from rexcli.config.project import Project, find_project
from rexcli.config.schema import Experiment
from rexcli.errors import DeclarationError, RexError, suggest
from rexcli.rl.actions import Controller, make_controller
from rexcli.rl.algorithm import Algorithm
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.ensemble import Ensemble
from rexcli.rl.environment import Environment
from rexcli.rl.evaluate import Evaluation, check_metrics, evaluate_policy, evaluation_steps
from rexcli.rl.policy import Actor, Policy
from rexcli.rl.process_group import ALONE, ProcessGroup
from rexcli.rl.train import Training
from rexcli.rl.train import train as train_seeds
from rexcli.rl.training_setup import TrainingSetup
from rexcli.runs.recording import RecordingWriter
from rexcli.runs.view import RunView, find_run
from rexcli.runtime.nan import NanListener, NanSearch
from rexcli.runtime.recorder import Recorder
from rexcli.runtime.stepper import Listener, Listeners, Stepper
from rexcli.runtime.wall.session import Outcome, Watch
from rexcli.runtime.wall.wall_clock import WallClock, check_system
from rexcli.system.call import StepFunction
from rexcli.system.infer_outputs import trace_steps
from rexcli.system.init import init_graph_state, with_memory
from rexcli.system.system import System
from rexcli.timeline.timeline import Timeline
from rexcli.timelines import EVALUATION, evaluation_timeline, record_timeline
from rexcli.timelines import saved_plan as saved_plan
from rexcli.timelines import simulate as simulate
from rexcli.timelines import timeline_for as timeline_for

PyTree = Any
log = logging.getLogger("rex.nan")


def compose(conf: str | None = None, *overrides: str) -> Experiment:
    """Returns the experiment `conf/<conf>.yaml` with overrides as on the command line:
    `compose("pendulum", "seed=7")`.
    """
    return compose_experiment(conf, list(overrides))


def build(experiment: Experiment) -> System:
    """Builds the system that an experiment declares."""
    backend.prepare(experiment.compile.devices)
    return build_system(experiment)


def environment(experiment: Experiment, system: System) -> Environment:
    """Builds the task that an experiment declares, on its system."""
    return build_environment(experiment, system)


def task_and_program(experiment: Experiment, project: Project | None = None) -> tuple[Environment, Program]:
    """Returns the declared task, and the program for its trainings: compiled from the timeline of `from=RUN`, or from a
    simulated one."""
    backend.prepare(experiment.compile.devices)
    system = build_system(experiment, project)
    task = build_environment(experiment, system, project)
    timeline, _ = timeline_for(experiment, system, project, task=task)
    plan = saved_plan(experiment, timeline, project, observed=task.observed)
    return task, compile(experiment, system, timeline, plan, task=task)


def evaluation_program(
    experiment: Experiment, program: Program, task: Environment, *, training: bool = False
) -> Program:
    """Returns the program for evaluations of what is trained on `program`: with new delays, see `evaluation_timeline`,
    or with `from=RUN` on the recording itself."""
    if experiment.from_run is not None:
        return program
    timeline, _ = evaluation_timeline(experiment, program.system, task, training=training)
    return compile(experiment, program.system, timeline, task=task)


def controller(
    experiment: Experiment, system: System, project: Project | None = None
) -> tuple[Controller | None, list[Path]]:
    """Returns the controller of the supervisor, as `action` and `policy` declare.

    Returns:
        The supervisor's step, None for its own code; and the runs that it came from.
    """
    policy, parents = None, []
    if experiment.policy is not None:
        policy, path = load_policy(experiment.policy, project, seed=experiment.policy_seed)
        parents.append(path)
    elif experiment.policy_seed != "best":
        where = experiment.origins.where("policy_seed")
        raise RexError(
            f"{where}: policy_seed={experiment.policy_seed}: of no run; give policy=RUN too, or leave it out"
        )
    source = experiment.action.source or ("node" if policy is None else "policy")
    task = None if experiment.env is None else build_environment(experiment, system, project)
    return make_controller(source, system, task, value=experiment.action.value, policy=policy), parents


def load_policy(
    run: str, project: Project | None = None, *, seed: int | Literal["best", "all"] = "best"
) -> tuple[Actor, Path]:
    """Returns the policy of a training run, and the run's folder.

    Args:
        run: a folder, `latest` or `latest:train`.
        project: the project with the run; None for the one that contains the working directory.
        seed: as `policy_seed` of an experiment.

    Raises:
        RexError: if there is no such run, or no such seed in it.
    """
    view = find_run(run, (project or find_project()).outputs, having=("policy/policy.json",))
    if seed == "best":
        return Policy.load(view.path / "policy"), view.path
    folders = {int(path.name): path for path in (view.path / "policies").glob("*") if path.name.isdigit()}
    if seed == "all":
        failed = [number for number, best in enumerate(_best_returns(view)) if best == -np.inf]
        members = [Policy.load(folders[number]) for number in sorted(folders) if number not in failed]
        if not members:
            raise RexError(f"policy_seed=all: {view.path} keeps no policies of seeds; give policy_seed=best")
        return Ensemble.of(members), view.path
    if seed not in folders:
        raise RexError(f"policy_seed={seed}: {view.path} has policies of seeds {sorted(folders)}; give one of these")
    return Policy.load(folders[seed]), view.path


def _best_returns(run: RunView) -> list[float]:
    """Returns the best return of each seed of a training, if its run has them; -inf for a seed without a return."""
    told = run.results.get("return of each seed", [])
    return [float(each) for each in told] if isinstance(told, list) else []


def check_steps(system: System, controller: Controller | None = None) -> None:
    """Traces the steps, so that their errors are raised before anything is written; not if a node is plain Python,
    which may be a robot's hardware."""
    if all(node.jit for node in system.nodes.values()):
        traced = [name for name, node in system.nodes.items() if node.called_alone() is node]
        shapes = jax.eval_shape if len(traced) == len(system.nodes) else lambda init: init()  # traced, others are slow
        state = shapes(lambda: with_memory(init_graph_state(system, jax.random.key(0)), controller))
        trace_steps(system, state, traced, controller)


def engines(system: System, executor: Literal["stepper", "program", "wall"]) -> dict[str, str]:
    """Returns which engine computed the steps of nodes that have several, by the name of a result."""
    nodes = [node if executor == "program" else node.called_alone() for node in system.nodes.values()]
    return {f"{node.name} engine": node.engine for node in nodes if node.engine is not None}


MANY_STEPS = 4000
"""The number of supervisor steps that take the stepper longer than compiling a program takes."""


def choose_executor(
    experiment: Experiment, system: System, timeline: Timeline, controller: Controller | None = None
) -> Literal["stepper", "program"]:
    """Returns the executor of a simulated recording, as `record.executor` declares.

    Both make the same steps, up to rounding errors. `auto` chooses the program for long recordings of nodes that can be
    compiled, unless `real_time_factor` slows it down.

    Raises:
        RexError: if the program is requested and cannot be used.
    """
    declared = experiment.record.executor
    if declared == "stepper" or (declared == "auto" and int(timeline.num_steps.sum()) < MANY_STEPS):
        return "stepper"
    paced = experiment.real_time_factor > 0
    why = "real_time_factor paces it" if paced else recording.why_not_compiled(system, controller)
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
    nan: NanSearch | None = None,
) -> Timeline:
    """Runs the system on its simulated clock, all episodes one after another; returns the timeline.

    Args:
        experiment: the experiment with seed and pace.
        system: the system to run.
        timeline: the timeline to run on; that of `record_timeline` if None.
        writer: the writer of a recording.
        runs: the executor, if it has been chosen already.
        listener: receives every step, such as an `InMemoryRecorder`; then the stepper runs the system.
        controller: steps the supervisor; its own code if None.
        params: parameters by node, instead of those from `init_params`.
        on_steps: called with the number of supervisor steps that were made since the last call.
        nan: searches every tick for NaN, for the caller; None to log a warning instead.
    """
    if timeline is None:
        timeline = record_timeline(experiment, system)
    search = NanSearch(system.timing) if nan is None else nan
    try:
        _record(experiment, system, timeline, writer, runs, listener, controller, params, on_steps, search)
    finally:
        if nan is None and search.first is not None:
            log.warning("%s", search.first)
    return timeline


def _record(
    experiment: Experiment,
    system: System,
    timeline: Timeline,
    writer: RecordingWriter | None,
    runs: Literal["stepper", "program"] | None,
    listener: Listener | None,
    controller: Controller | None,
    params: Mapping[str, PyTree] | None,
    on_steps: Callable[[int], None] | None,
    nan: NanSearch,
) -> None:
    rng = jax.random.key(experiment.seed)
    if (
        writer is not None
        and listener is None
        and (runs or choose_executor(experiment, system, timeline, controller)) == "program"
    ):
        options: dict[str, Any] = {"controller": controller, "params": params, "on_steps": on_steps, "nan": nan}
        skip = backend.choose_skip(experiment.compile.skip)
        recording.record(system, timeline, writer, rng, skip=skip, **options)
        return
    listeners: list[Listener] = [] if writer is None else [Recorder(writer, system, timeline)]
    listeners += [NanListener(nan, timeline), *([] if listener is None else [listener])]
    stepper = Stepper(system, timeline, Listeners(listeners), experiment.real_time_factor)
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


def check_wall(experiment: Experiment, system: System) -> None:
    """Raises an error for what the wall clock cannot do.

    Raises:
        RexError: if it should run at another pace than real time, emulate a robot, lose messages on purpose, or draw
            delays.
    """
    if experiment.real_time_factor not in (0.0, 1.0):
        where = experiment.origins.where("real_time_factor")
        raise RexError(
            f"{where}: real_time_factor={experiment.real_time_factor:g}: the wall clock runs in real time; leave "
            "it out, or give clock=simulated"
        )
    try:
        check_system(system, experiment.wall)
    except DeclarationError as error:
        raise experiment.origins.placed(error) from None


def prepare_wall(experiment: Experiment, system: System, controller: StepFunction | None = None) -> WallClock:
    """Returns a wall clock whose steps are compiled, checked and warmed up; nodes that may be a robot's hardware are
    neither started nor stepped."""
    check_wall(experiment, system)
    clock = WallClock(system, controller=controller, settings=experiment.wall, seed=experiment.seed)
    clock.prepare(init_graph_state(system, jax.random.fold_in(jax.random.key(experiment.seed), 0)))
    return clock


def record_wall(
    experiment: Experiment,
    system: System,
    *,
    writer: RecordingWriter | None = None,
    controller: StepFunction | None = None,
    params: Mapping[str, PyTree] | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Runs the system in real time, as `experiment.record` and `experiment.wall` declare; arguments as for `record`.

    `watch` is called regularly with the running episode. `Outcome.check` raises the error if there was one.
    """
    check_wall(experiment, system)
    declared = experiment.record
    clock = WallClock(system, writer, controller=controller, settings=experiment.wall, seed=experiment.seed)
    return clock.run(
        jax.random.key(experiment.seed),
        episodes=declared.episodes,
        steps=declared.steps if declared.seconds is None else None,
        seconds=declared.seconds,
        params=params,
        watch=watch,
    )


def compile(
    experiment: Experiment,
    system: System,
    timeline: Timeline,
    plan: Plan | None = None,
    *,
    task: Environment | None = None,
) -> Program:
    """Compiles the program of a system on a timeline.

    Args:
        experiment: the experiment with the options.
        system: the system that it declares.
        timeline: a timeline of that system.
        plan: a plan of that timeline, without which a template is searched.
        task: the task whose observed nodes the program must support; None for the experiment's own.
    """
    if plan is None:
        if task is None and experiment.env is not None:
            task = environment(experiment, system)
        plan = plan_for(experiment, timeline, observed=() if task is None else task.observed)
    return Program(system, plan, backend.choose_skip(experiment.compile.skip))


def plan_for(experiment: Experiment, timeline: Timeline, *, observed: Collection[str] = ()) -> Plan:
    """Returns the plan of a timeline as `experiment.compile` declares; `observed` as for `make_plan`."""
    declared = experiment.compile
    return make_plan(timeline, mode=declared.mode, prune=declared.prune, lookahead=declared.ahead, observed=observed)


def check_rollout(experiment: Experiment, program: Program) -> None:
    """Raises an error for what `rollout` could not do, before anything is computed."""
    backend.choose_devices(experiment.compile.devices)
    check_rollouts(program, experiment.rollout.num, experiment.rollout.steps)
    for name in experiment.rollout.keep.nodes or ():
        if name not in program.system.nodes:
            known = list(program.system.nodes)
            raise RexError(f"rollout.keep.nodes: no node is called '{name}'{suggest(name, known)}")


def algorithm(experiment: Experiment, task: Environment) -> Algorithm:
    """Returns the learning algorithm that an experiment declares, on its task."""
    from rexcli.rl.ppo import PPO  # Optax takes half a second to import, and most commands train nothing

    return PPO(task, experiment.ppo)


def training_setup(
    experiment: Experiment,
    program: Program,
    task: Environment,
    evaluation: Program | None = None,
    *,
    group: ProcessGroup = ALONE,
    start: Checkpoint | None = None,
) -> TrainingSetup:
    """Returns the setup of a training as an experiment declares it, for `rexcli.rl.train`.

    Args:
        experiment: the experiment with settings and seed.
        program: the program to train on.
        task: the task to train.
        evaluation: the program for evaluations during training; that of `evaluation_program` if None.
        group: the processes that share the seeds.
        start: the checkpoint from which to resume.

    Raises:
        RexError: if the training is impossible, before anything is compiled.
    """
    if evaluation is None:
        evaluation = evaluation_program(experiment, program, task, training=True)
    devices = backend.choose_devices(experiment.compile.devices)
    seconds, rng = experiment.eval.seconds, jax.random.key(experiment.seed)
    setup = TrainingSetup(
        algorithm(experiment, task), program, evaluation, rng, seconds, devices, group=group, start=start
    )
    check_evaluation(experiment, evaluation, task)
    return setup


def check_evaluation(experiment: Experiment, program: Program, task: Environment) -> None:
    """Raises an error for episodes that are longer than the timeline, and for metrics that cannot be computed."""
    seconds = experiment.eval.seconds
    evaluation_steps(program, task, seconds)
    try:
        check_metrics(program, task, seconds)
    except RexError as error:
        key = str(error).partition(":")[0]
        raise RexError(f"{experiment.origins.where(key)}: {error}") from error


def kept(experiment: Experiment, program: Program) -> tuple[dict[str, tuple[str, ...]], str | None]:
    """Returns the fields that `rollout` records, by node, and a message about fields that were left out; None if none
    were.
    """
    declared = experiment.rollout
    names = list(program.system.nodes) if declared.keep.nodes is None else declared.keep.nodes
    keep: dict[str, tuple[str, ...]] = dict.fromkeys(names, tuple(declared.keep.fields))
    if declared.keep.nodes is not None or declared.keep.limit is None:
        return keep, None
    steps = check_rollouts(program, declared.num, declared.steps)
    keep, left_out = thinned(program, declared.num, steps, keep, declared.keep.limit * 2**30)
    if not left_out:
        return keep, None
    fields = ", ".join(f"{node}/{field} ({memory_limit.shown(size)})" for (node, field), size in left_out.items())
    nodes = ",".join(dict.fromkeys(node for node, _ in left_out))
    return keep, (
        f"rollout.keep leaves out {fields}: all together is more than rollout.keep.limit={declared.keep.limit:g} GiB; "
        f"to keep it all the same, name it (rollout.keep.nodes=[{nodes}]), or raise the limit"
    )


def compile_rollout(
    experiment: Experiment,
    program: Program,
    *,
    controller: Controller | None = None,
    params: Mapping[str, PyTree] | None = None,
    beside: Executor | None = None,
    like: CompiledRollouts | None = None,
) -> CompiledRollouts:
    """Compiles `rollout.num` episodes in parallel; errors in tracing a node's step are raised here.

    `beside` and `like` are as for `rexcli.compiler.rollouts.compile_rollouts`.
    """
    check_rollout(experiment, program)
    declared = experiment.rollout
    keep, _ = kept(experiment, program)
    return compile_rollouts(
        program,
        jax.random.key(experiment.seed),
        declared.num,
        steps=declared.steps,
        params=params,
        controller=controller,
        keep=keep,
        devices=backend.choose_devices(experiment.compile.devices),
        beside=beside,
        like=like,
    )


def rollout(
    experiment: Experiment,
    program: Program,
    *,
    controller: Controller | None = None,
    params: Mapping[str, PyTree] | None = None,
    compiled: CompiledRollouts | None = None,
) -> Rollouts:
    """Runs `rollout.num` episodes in parallel. NaN in them is logged, and described in `Rollouts.nan`.

    `compiled` is the result of `compile_rollout` for the same arguments, if it has been called already.
    """
    if compiled is None:
        compiled = compile_rollout(experiment, program, controller=controller, params=params)
    done = compiled.run(jax.random.key(experiment.seed))
    if (found := find_nan(done, program.system.timing)) is None:
        return done
    place, struck = found
    done = replace(done, nan=f"{place}; there is NaN in {struck} of {done.num} rollouts")
    log.warning("%s", done.nan)
    return done


def train(
    experiment: Experiment,
    program: Program,
    task: Environment,
    *,
    evaluation: Program | None = None,
    start: Checkpoint | None = None,
    **callbacks: Any,
) -> Training:
    """Trains as `training_setup` declares, several seeds in parallel; `callbacks` are those
    of `rexcli.rl.train.train`.
    """
    return train_seeds(training_setup(experiment, program, task, evaluation, start=start), **callbacks)


def evaluate(experiment: Experiment, program: Program, task: Environment, policy: Actor) -> Evaluation:
    """Evaluates a policy on `eval.episodes` episodes with new starts, which no training with this seed has seen."""
    check_evaluation(experiment, program, task)
    rng = jax.random.fold_in(jax.random.key(experiment.seed), EVALUATION)
    declared = experiment.eval
    done = evaluate_policy(program, task, policy, rng, episodes=declared.episodes, seconds=declared.seconds)
    return jax.tree.map(np.asarray, done)
