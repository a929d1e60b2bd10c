"""Commands that only read runs import no JAX."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rexcli.config.project import Project
from tests.cli.conftest import Make


@pytest.mark.parametrize("command", ["['ls']", "['ls', 'double>1']", "['show', 'latest']", "['diff', *2 * ['latest']]"])
def test_reading_runs_imports_no_jax(make: Make, toy: Project, command: str) -> None:
    assert make("seed=1") == 0
    code = (
        f"import sys; from rexcli.cli.main import main; sys.exit(main({command}) or 'jax' in sys.modules or "
        "'numpy' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert run.returncode == 0
    assert b"done" in run.stdout or b"double" in run.stdout
