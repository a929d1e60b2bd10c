"""A command is the same in whatever process it runs."""

from __future__ import annotations

import io
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.cli.command_spec import CommandSpec, Lines
from rexcli.config.project import Project
from rexcli.sweep.jobs import SweepJob


def test_a_sweeps_task_travels_to_other_processes(toy: Project) -> None:
    task = SweepJob(CommandSpec("make", "making", "toy", ("rex",), toy, None, False, True))
    assert pickle.loads(pickle.dumps(task)) == task


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("ab\n", max_size=6)))
def test_one_of_several_jobs_speaks_in_whole_lines_that_bear_its_name(parts: list[str]) -> None:
    stream = io.StringIO()
    lines = Lines(stream, "job 3: ")
    for number, part in enumerate(parts):
        assert lines.write(part) == len(part)
        *whole, _ = "".join(parts[: number + 1]).split("\n")
        assert stream.getvalue() == "".join(f"job 3: {line}\n" for line in whole)
    assert not lines.isatty()
