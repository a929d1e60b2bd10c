"""A command for tests of sweeps, `nap`: fails, hangs, dies or counts, as its seed says. Imports no JAX."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

from rexcli.cli.console import Console
from rexcli.cli.hydra_app import Flags, run
from rexcli.cli.job import Job
from rexcli.cli.main import _report
from rexcli.runs.result import Result

UNLUCKY, DEADLY, SLEEPY = 13, 9, 100
"""Seeds that fail; that die while `poison` is there; that, or higher, sleep while `hold` is there."""


def nap(job: Job) -> Result:
    """Has the results `double` (twice its seed), `list` and `devices`."""
    seed = job.experiment.seed
    with job.new_run() as run:
        run.write_json("started.json", {"seed": seed, "process": os.getpid()})
        if seed == UNLUCKY:
            raise ZeroDivisionError("unlucky")
        if seed == DEADLY and (job.project.root / "poison").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        while seed >= SLEEPY and (job.project.root / "hold").exists():
            time.sleep(0.02)
        run.add_result("double", 2.0 * seed)
        run.add_result("list", [float(seed), seed + 2.0])
        run.add_result("devices", job.experiment.compile.devices)
    return Result(values=run.results, path=run.path, objective=-((seed - 5.0) ** 2))


def main(words: Sequence[str], **flags: object) -> int:
    """Runs `rex nap -m WORDS` in the working directory's project."""
    try:
        return run(
            "nap",
            "tests.sweep.sleeping_command",
            words,
            Flags(multirun=True, **flags),
            Console(),
            ("rex", "nap", "-m", *words),
        )
    except (Exception, KeyboardInterrupt) as error:
        return _report(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
