"""A command is the same in whatever process it runs."""

from __future__ import annotations

import pickle

from rexcli.cli.command_spec import CommandSpec
from rexcli.config.project import Project
from rexcli.sweep.jobs import SweepJob


def test_a_sweeps_task_travels_to_other_processes(toy: Project) -> None:
    task = SweepJob(CommandSpec("make", "making", "toy", ("rex",), toy, None, False, True))
    assert pickle.loads(pickle.dumps(task)) == task
