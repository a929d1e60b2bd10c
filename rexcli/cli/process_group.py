"""Runs `rex train` in several processes: process 0 sends the others what they need, and all stop together."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from rexcli import pipeline
from rexcli.cli.console import Console
from rexcli.cli.job import Job
from rexcli.compiler.plan import Plan
from rexcli.compiler.plan_arrays import plan_from_arrays, plan_to_arrays
from rexcli.config.compose import config_yaml, experiment_from_config
from rexcli.config.schema import DistributedConfig, Experiment
from rexcli.errors import RexError
from rexcli.rl.process_group import Message, ProcessGroup
from rexcli.rl.train import train_worker as train_own_seeds
from rexcli.runs import provenance
from rexcli.runs.plain_yaml import flatten, load_yaml
from rexcli.runs.result import Result
from rexcli.timeline.arrays import from_arrays, to_arrays
from rexcli.timeline.timeline import Timeline

SAME = ("rexcli", "jax", "jaxlib")
"""Packages of which all processes must have the same version, since another might give other numbers."""

OWN_KEYS = ("distributed", "compile.devices", "delays", "params")
"""Keys that may differ between processes. The delays and parameters taken from a run are compared, not its path."""


def broadcast(group: ProcessGroup, experiment: Experiment, resumed: bool, timeline: Timeline, plan: Plan) -> None:
    """Sends what the other processes need, from process 0, and waits until all agree.

    The others simulate no delays, search no plan and need no run folder.
    """
    if group.count == 1:
        return
    versions = provenance.versions()
    message = {
        "experiment": np.array(config_yaml(experiment)),
        "processes": np.array(group.count),
        "resumed": np.array(resumed),
        **{f"version/{name}": np.array(str(versions[name])) for name in SAME},
        **{f"timeline/{name}": array for name, array in to_arrays(timeline).items()},
        **{f"plan/{name}": array for name, array in plan_to_arrays(plan).items()},
    }
    for other in group.others:
        group.send(other, message)
    for other in group.others:
        group.receive(other)


def train_worker(job: Job, group: ProcessGroup) -> Result:
    """Runs `rex train` in a process that is not the first: it trains its seeds, and prints nothing but errors."""
    _print_nothing()
    with stop_requests(group) as stop:
        message = group.receive(0)
        job = replace(job, experiment=_agreed(job, group, message))
        experiment = job.experiment
        system = job.system()
        task = pipeline.environment(experiment, system)
        timeline = from_arrays(_under("timeline/", message))
        program = pipeline.compile(experiment, system, timeline, plan_from_arrays(_under("plan/", message), timeline))
        setup = pipeline.training_setup(experiment, program, task, group=group)
        group.send(0, {"agreed": np.array(True)})
        if train_own_seeds(setup, stop=stop):
            raise KeyboardInterrupt
    return Result()


def _print_nothing() -> None:
    """Discards all that this process prints until it ends; this is the only place that replaces `sys.stdout`.

    Process 0 prints for all. The others would print from node code and, after the command's function has returned, from
    the console that ends every command, so no `with` block encloses both.
    """
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115


@contextmanager
def stop_requests(group: ProcessGroup, console: Console | None = None) -> Iterator[Callable[[], bool]]:
    """Makes the first Ctrl-C or SIGTERM of a group request a stop after the current evaluation.

    The next one stops at once.

    Args:
        group: the processes; in a group of one, signals act as usual.
        console: where the request is printed.

    Yields:
        A function that returns whether a stop was requested.
    """
    asked: list[bool] = []
    if group.count == 1:
        yield lambda: False
        return

    def note(*_: Any) -> None:
        asked.append(True)
        restore()
        if console is not None:
            with suppress(RuntimeError):  # the signal came while a line was being printed
                console.note("stopping all processes after this evaluation; Ctrl-C again to stop at once")

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        restore()


def _agreed(job: Job, group: ProcessGroup, message: Message) -> Experiment:
    """Returns the experiment that all processes train.

    Raises:
        RexError: this process was started with another experiment, or has other versions of packages.
    """
    versions = provenance.versions()
    for name in SAME:
        there = str(message[f"version/{name}"])
        if str(versions[name]) != there:
            raise RexError(f"{name} is {versions[name]} here and {there} in process 0; install the same")
    if (count := int(message["processes"])) != group.count:
        raise RexError(f"distributed.processes={group.count} here, and {count} in process 0; give the same")
    told = load_yaml(str(message["experiment"]))
    resumes = job.experiment.resume is not None
    if resumes != bool(message["resumed"]):
        who = "this process" if resumes else "process 0"
        raise RexError(
            f"{who} alone was started with resume=RUN; start all processes with the same command line but for "
            "distributed.process"
        )
    if resumes:
        trusted = [word for word in job.argv if word.startswith("trusted_targets=")]
        return experiment_from_config(told, "process 0's run", trusted)
    own = flatten(load_yaml(config_yaml(job.experiment)))
    theirs = flatten(told)
    for key in {**theirs, **own}:
        if own.get(key) != theirs.get(key) and not key.startswith(OWN_KEYS):
            raise RexError(
                f"{key} is {own.get(key)} here and {theirs.get(key)} in process 0; start all processes with the "
                "same conf and command line but for distributed.process"
            )
    return job.experiment


def without_group(job: Job) -> Job:
    """Returns the job as its run records it: which processes trained it is no part of the experiment."""
    return replace(job, experiment=replace(job.experiment, distributed=DistributedConfig()))


def _under(prefix: str, message: Message) -> Message:
    return {name.removeprefix(prefix): array for name, array in message.items() if name.startswith(prefix)}
