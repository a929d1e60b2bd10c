"""SIGINT and SIGTERM at random moments of a training, a sweep and a rollout.

    python -m tests.soak.signals [--each 50] [--unbroken 5] [--seed 0]

Wanted: exit code 130 or 143, no traceback, the status `interrupted` (or `done`, or no run at all, where the signal came
too late or too early for anything else), and a command that goes on from there to its end. As many of the resumed
trainings as `--unbroken` says must hold the same numbers, byte for byte, as one that nobody stopped.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rexcli.runs.view import RunView
from rexcli.sweep.folder import collect, is_sweep
from tests.soak.kills import COMMANDS, SAME, damage, made, unbroken_training
from tests.soak.project import make_project, run, start

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
SIGNALLED = ("train", "a sweep of trainings", "rollout")
EARLIEST = 0.25
"""Share of a command's usual time before which Python still imports, and its own manners hold."""
PATIENCE = 120.0
"""Seconds that a command may take to end."""


@dataclass(frozen=True)
class Stop:
    """What came of one signal.

    Attributes:
        what: the command.
        number: the signal.
        share: of the command's usual time after which it was sent.
        code: its exit code.
        state: what is there now: `nothing`, or the status of the run; of a sweep, those of its jobs.
        wrong: what is not as it should be, a line each.
    """

    what: str
    number: signal.Signals
    share: float
    code: int
    state: str
    wrong: tuple[str, ...]


def stop(project: Path, what: str, number: signal.Signals, share: float, usual: float, whole: RunView | None) -> Stop:
    """Starts a command, sends it a signal, and goes on from there.

    Args:
        project: where.
        what: one of `COMMANDS`.
        number: the signal.
        share: at which of its moments, 0 to 1.
        usual: seconds that it takes.
        whole: a training that nobody stopped, to compare a resumed one with; None not to resume.
    """
    before = set(made(project))
    process = start(project, *COMMANDS[what])
    time.sleep(share * usual)
    process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE)
    new = [folder for folder in made(project) if folder not in before]
    wrong = [line for folder in new for line in damage(folder)]
    if "Traceback" in said:
        wrong.append(said[-1500:])
    statuses = _statuses(new)
    expected = (CODES[number],) if statuses <= {"interrupted", "waiting"} else (0, CODES[number])
    code = process.returncode
    if code < 0 and statuses == {"done"}:  # it came while Python itself shut down; a shell shows this number
        code = 128 - code
    if code not in expected:
        wrong.append(f"exit code {code}: {said.strip()[-600:]}")
    allowed = {"interrupted", "done", "waiting"} if new and is_sweep(new[0]) else {"interrupted", "done"}
    wrong += [f"{new[0]} is {status}" for status in statuses - allowed]
    if whole is not None and new and "done" not in statuses:
        wrong += _resume(project, new[0], COMMANDS[what][0], whole)
    return Stop(what, number, share, code, ", ".join(sorted(statuses)) or "nothing", tuple(wrong))


def _statuses(new: list[Path]) -> set[str]:
    if not new:
        return set()
    return {row.status for row in collect(new[0])} if is_sweep(new[0]) else {RunView(new[0]).status}


def _resume(project: Path, folder: Path, command: str, whole: RunView) -> list[str]:
    """Goes on with a training or a sweep; what went wrong, a line each."""
    if command != "train":
        code, said = run(project, command)
        return [] if code == 0 else [f"again, it ends with {code}: {said.strip()[-600:]}"]
    sweep = is_sweep(folder)
    code, said = run(project, "train", *(["-m"] if sweep else []), f"resume={folder}")
    if code != 0:
        return [f"resume={folder} ends with {code}: {said.strip()[-600:]}"]
    if sweep:
        return [f"{folder}: job {row.number} is {row.status}" for row in collect(folder) if row.status != "done"]
    differ = [name for name in SAME if (folder / name).read_bytes() != (whole.path / name).read_bytes()]
    return [f"{folder / name} differs from that of an unbroken training" for name in differ]


def soak(each: int, unbroken: int, seed: int) -> list[Stop]:
    """Sends each signal so many times to each command, in a project of its own; goes on with the first `unbroken`."""
    chance, found = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        seconds = {}
        for what in SIGNALLED * 2:  # the second time nothing is compiled
            began = time.monotonic()
            code, said = run(project, *COMMANDS[what])
            assert code == 0, f"{what} ends with {code}: {said}"
            seconds[what] = time.monotonic() - began
        whole = unbroken_training(project)
        print(", ".join(f"{what} takes {each:.1f} s" for what, each in seconds.items()), flush=True)
        for turn in range(each):
            for what in SIGNALLED:
                for number in CODES:
                    share = chance.uniform(EARLIEST, 1.0)
                    compared = whole if turn < unbroken else None
                    found.append(stop(project, what, number, share, seconds[what], compared))
                    print(_line(found[-1]), flush=True)
    return found


def _line(stopped: Stop) -> str:
    said = "".join(f"\n    {line}" for line in stopped.wrong) or " all is well"
    return f"{stopped.what}, {stopped.number.name} at {stopped.share:.0%}: {stopped.code}, {stopped.state}:{said}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--each", type=int, default=50, help="signals of either kind to each command")
    parser.add_argument("--unbroken", type=int, default=5, help="how many of each are gone on with")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    found = soak(options.each, options.unbroken, options.seed)
    bad = [stopped for stopped in found if stopped.wrong]
    print(f"{len(found)} signals, {len(bad)} of them did something wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
