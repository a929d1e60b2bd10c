"""What delays in training are worth: the systems that come with rex, trained with their delays and without.

    python -m tests.benchmarks.bench_systems cartpole                          # trains both, and evaluates both
    python -m tests.benchmarks.bench_systems cartpole with=RUN without=RUN     # of trainings that are there
    python -m tests.benchmarks.bench_systems quadrotor --seen                  # also on the delays of the training

Both learn by the default configuration, five seeds each, the second with every delay set to 0; losses and noise stay.
Then each policy runs 512 episodes with the declared delays, drawn anew, 16 of them distinct. Prints the median and best
seed of each metric. `docs/systems.md` has the tables.
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

EPISODES = 512


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
    "platoon": Setting(
        zero=(
            "nodes.coordinator.delay=0.0",
            *(
                f"edges.{name}.delay=0.0"
                for name in ("first", "radio", "leader_coordinator", "car_coordinator", "orders")
            ),
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


class Flights:
    """Episodes of a system in which policies are compared: compiled once, for all that come."""

    def __init__(self, name: str, setting: Setting, *overrides: str):
        words = (*setting.start, f"eval.episodes={EPISODES}", "seed=1000", *overrides)
        self.setting = setting
        self.experiment = pipeline.compose(name, *words)
        system = pipeline.build(self.experiment)
        self.task = pipeline.environment(self.experiment, system)
        timeline, _ = pipeline.evaluation_timeline(self.experiment, system, self.task)
        self.program = pipeline.compile(self.experiment, system, timeline, task=self.task)

    def evaluate(self, run: str) -> None:
        """Prints a line a metric: its median and best over the seeds, each the mean of all episodes."""
        policies = find_run(run, Path("outputs")).path / "policies"
        folders = sorted(policies.iterdir(), key=lambda folder: int(folder.name))
        found = [
            pipeline.evaluate(self.experiment, self.program, self.task, Policy.load(folder)).summary
            for folder in folders
        ]
        for metric in found[0]:
            each = np.asarray([summary[metric].mean() for summary in found])
            best = each.min() if metric in self.setting.low else each.max()
            seeds = " ".join(f"{value:.3g}" for value in each)
            print(f"    {metric:12} median {np.median(each):.3g}, best {best:.3g}   ({seeds})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("runs", nargs="*", help="with=RUN and without=RUN; what is not given is trained")
    parser.add_argument("--seen", action="store_true", help="evaluate the first also on the delays that it has met")
    options = parser.parse_args()
    runs = dict(run.split("=", 1) for run in options.runs)
    name, setting = options.system, SYSTEMS[options.system]
    for kind, words in (("with", ()), ("without", setting.zero)):
        runs[kind] = runs.get(kind) or train([f"conf={name}", *words])
    flights = Flights(name, setting)
    for kind in ("with", "without"):
        print(f"trained {kind} delays, {Path(runs[kind]).name}; evaluated with delays that it has not met:", flush=True)
        flights.evaluate(runs[kind])
    if options.seen:
        print("trained with delays, evaluated on the very ones that it has met:", flush=True)
        Flights(name, setting, f"from={runs['with']}", "randomize=null").evaluate(runs["with"])


if __name__ == "__main__":
    main()
