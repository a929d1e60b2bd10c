"""SIGKILL at random moments over all commands that write, each followed by the command that goes on from there.

    python -m tests.soak.kills [--kills 200] [--seed 0]

After a kill every folder of a run must open and say what it is, with every file in it whole. Then a training is
resumed, and must end with the same numbers as one that nobody stopped; a sweep is resumed; a recording is drawn; all
else is done again. Nothing half made may be left then. The exit code says whether it is so.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rexcli.errors import RexError
from rexcli.runs.recording import read_recording
from rexcli.runs.storage import is_temporary
from rexcli.runs.view import RunView, list_runs
from rexcli.sweep.folder import collect, is_sweep
from tests.soak.project import make_project, run, start

COMMANDS = {
    "record": ("record",),
    "record in real time": ("record", "clock=wall", "record.steps=40"),
    "compile": ("compile",),
    "rollout": ("rollout",),
    "train": ("train",),
    "eval": ("eval", "latest:train"),
    "plot": ("plot", "latest:train"),
    "a sweep of rollouts": ("rollout", "-m", "seed=1,2"),
    "a sweep of trainings": ("train", "-m", "seed=1,2"),
}
"""What is killed, by what it is."""
SAME = ("metrics.csv", "policy/weights.npz")
"""Files of a training that was resumed that are the same, byte for byte, as if it had not been stopped."""


@dataclass(frozen=True)
class Kill:
    """What came of one.

    Attributes:
        what: the command.
        share: of its usual time after which it was killed.
        state: what was there then: `nothing`, or the status of the run.
        wrong: what is not as it should be, a line each.
    """

    what: str
    share: float
    state: str
    wrong: tuple[str, ...]


def kill(project: Path, what: str, share: float, usual: float, whole: RunView) -> Kill:
    """Starts a command, kills it after a share of its usual time, and does what goes on from there.

    Args:
        project: where.
        what: one of `COMMANDS`.
        share: at which of its moments, 0 to 1.
        usual: seconds that it takes.
        whole: a training that nobody stopped.
    """
    before, there = set(made(project)), set(unfinished(project))
    process = start(project, *COMMANDS[what])
    time.sleep(share * usual)
    process.kill()
    process.communicate()
    new = [folder for folder in made(project) if folder not in before]
    wrong = [line for folder in new for line in damage(folder)]
    state = "nothing"
    if new:
        state = "sweep" if is_sweep(new[0]) else RunView(new[0]).status
    wrong += go_on(project, what, new, whole)
    wrong += [f"{path} is left" for path in unfinished(project) if path not in there]
    return Kill(what, share, state, tuple(wrong))


def unfinished(project: Path) -> list[Path]:
    """What writers left unfinished."""
    return [path for path in (project / "outputs").rglob("*") if is_temporary(Path(path.name))]


def made(project: Path) -> list[Path]:
    """The folders of runs and of sweeps."""
    runs = [view.path for view in list_runs(project / "outputs")]
    sweeps = [path.parent for path in (project / "outputs").glob("*/*/*/sweep.json")]
    return [*sweeps, *(path for path in runs if path.parent not in sweeps)]


def damage(folder: Path) -> list[str]:
    """What in a run or in the jobs of a sweep does not open, a line each."""
    if is_sweep(folder):
        jobs = [folder / str(row.number) for row in collect(folder)]
        return [line for job in jobs if (job / "run.json").exists() for line in damage(job)]
    try:
        view = RunView(folder)
        _ = view.status, view.config, view.results, view.artifacts, view.command_line
    except RexError as error:
        return [str(error)]
    wrong = []
    readers = {".npz": view.arrays, ".json": view.json, ".csv": view.csv}
    for name in view.files():
        try:
            if name.endswith(".mcap"):
                read_recording(folder / name)
            elif name.count("/") == 0 or name.startswith("policy"):
                readers.get(Path(name).suffix, lambda name: None)(name)
        except RexError as error:
            wrong.append(str(error))
    return wrong


def go_on(project: Path, what: str, new: Sequence[Path], whole: RunView) -> list[str]:
    """Does what a person would; what went wrong, a line each."""
    command = COMMANDS[what]
    is_training = what == "train" and bool(new)
    if new and is_sweep(new[0]):
        words: tuple[str, ...] = (command[0], "-m", f"resume={new[0]}")
    elif is_training and RunView(new[0]).status != "done":
        words = ("train", f"resume={new[0]}")
    elif what.startswith("record") and new:
        words = ("plot", str(new[0]))
    else:
        words = command
    code, said = run(project, *words)
    wrong = []
    if code != 0 or "Traceback" in said:
        wrong.append(f"rex {' '.join(words)} ends with {code}: {said.strip()[-600:]}")
    if new and is_sweep(new[0]):
        wrong += [f"{new[0]}: job {row.number} is {row.status}" for row in collect(new[0]) if row.status != "done"]
    if is_training and not wrong:
        differ = [name for name in SAME if (new[0] / name).read_bytes() != (whole.path / name).read_bytes()]
        wrong += [f"{new[0] / name} differs from that of an unbroken training" for name in differ]
    if words[0] != "plot":  # what a killed run left unfinished goes when somebody writes there again
        for folder in [path for path in new if not is_sweep(path) and not is_training]:
            run(project, "plot", str(folder))
    return wrong


def usual_seconds(project: Path) -> dict[str, float]:
    """How long each command takes."""
    seconds = {}
    for what, words in [*COMMANDS.items()] * 2:  # the second time nothing is compiled
        began = time.monotonic()
        code, said = run(project, *words)
        assert code == 0, f"rex {' '.join(words)} ends with {code}: {said}"
        seconds[what] = time.monotonic() - began
    return seconds


def unbroken_training(project: Path) -> RunView:
    """The first training that nobody stopped, and that is no job of a sweep."""
    views = list_runs(project / "outputs", command="train")
    return next(view for view in reversed(views) if view.path.parent.name == "train" and view.status == "done")


def soak(kills: int, seed: int) -> list[Kill]:
    """Kills all commands in turn, in a project of its own."""
    chance, found = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        seconds = usual_seconds(project)
        whole = unbroken_training(project)
        print(", ".join(f"{what} takes {each:.1f} s" for what, each in seconds.items()), flush=True)
        for number in range(kills):
            what = list(COMMANDS)[number % len(COMMANDS)]
            each = kill(project, what, chance.random(), seconds[what], whole)
            found.append(each)
            said = "".join(f"\n    {line}" for line in each.wrong) or " all is well"
            print(f"{number + 1:>4}  {what} at {each.share:.0%}, {each.state} there:{said}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    found = soak(options.kills, options.seed)
    bad = [each for each in found if each.wrong]
    print(f"{len(found)} kills, {len(bad)} of them left something wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
