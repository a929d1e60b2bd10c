"""What delays in training are worth: the systems that come with rex, trained with their delays and without.

    python -m tests.benchmarks.bench_systems cartpole                          # trains both, and evaluates both
    python -m tests.benchmarks.bench_systems cartpole with=RUN without=RUN     # of trainings that are there

Both learn by the default configuration, five seeds each, the second with every delay set to 0; losses and noise stay.
Then each policy runs 200 episodes with the declared delays, drawn anew. Prints the median and best seed of each metric.
For `quadrotor` a third line evaluates the first on the very delays that it has met. `docs/systems.md` has the tables.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rexcli import pipeline
from rexcli.cli.main import main as rex
from rexcli.rl.policy import Policy
from rexcli.runs.view import find_run

EPISODES = 200


class Setting(NamedTuple):
    """`zero`: what takes the delays away; `start`: how evaluations differ; `low`: metrics of which less is better."""

    zero: Sequence[str]
    start: Sequence[str] = ()
    low: Sequence[str] = ()


SYSTEMS: Mapping[str, Setting] = {
    "cartpole": Setting(
        zero=(
            "nodes.camera.delay=0.0",
            "nodes.agent.delay=0.0",
            "edges.camera_agent.delay=0.0",
            "edges.agent_motor.delay=0.0",
        ),
        start=("nodes.world.start=hanging",),
    ),
    "quadrotor": Setting(
        zero=(
            "nodes.mocap.delay=0.0",
            "nodes.pilot.delay=0.0",
            "edges.mocap_pilot.delay=0.0",
            "edges.pilot_attitude.delay=0.0",
            "randomize=null",
        ),
        low=("rms_error",),
    ),
}


def train(words: Sequence[str]) -> str:
    """The folder of a new training."""
    begun, load = time.monotonic(), os.getloadavg()[0]
    if rex(["train", *words]):
        raise SystemExit(f"rex train {' '.join(words)} failed")
    print(f"{' '.join(words)}: {time.monotonic() - begun:.0f} s in all, begun at a load of {load:.1f}", flush=True)
    return str(find_run("latest:train", Path("outputs")).path)


def evaluate(setting: Setting, name: str, run: str, *overrides: str) -> None:
    """Prints a line a metric: its median and best over the seeds, each the mean of `EPISODES` episodes."""
    words = (*setting.start, f"eval.episodes={EPISODES}", "seed=1000", *overrides)
    experiment = pipeline.compose(name, *words)
    system = pipeline.build(experiment)
    task = pipeline.environment(experiment, system)
    timeline, _ = pipeline.evaluation_timeline(experiment, system, task)
    program = pipeline.compile(experiment, system, timeline, task=task)
    folders = sorted((find_run(run, Path("outputs")).path / "policies").iterdir(), key=lambda folder: int(folder.name))
    found = [pipeline.evaluate(experiment, program, task, Policy.load(folder)) for folder in folders]
    for metric in found[0].summary:
        each = np.asarray([evaluation.summary[metric].mean() for evaluation in found])
        best = each.min() if metric in setting.low else each.max()
        seeds = " ".join(f"{value:.3g}" for value in each)
        print(f"    {metric:12} median {np.median(each):.3g}, best {best:.3g}   ({seeds})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("runs", nargs="*", help="with=RUN and without=RUN; what is not given is trained")
    options = parser.parse_args()
    runs = dict(run.split("=", 1) for run in options.runs)
    name, setting = options.system, SYSTEMS[options.system]
    for kind, words in (("with", ()), ("without", setting.zero)):
        run = runs.get(kind) or train([f"conf={name}", *words])
        print(f"trained {kind} delays, {Path(run).name}; evaluated with them:", flush=True)
        evaluate(setting, name, run)
        if name == "quadrotor" and kind == "with":
            print("the same, on the 16 episodes of delays that it was trained on:", flush=True)
            evaluate(setting, name, run, f"from={run}", "randomize=null")


if __name__ == "__main__":
    main()
