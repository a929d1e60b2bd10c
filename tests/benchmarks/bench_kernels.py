"""What a step of a compiled program launches, read from the code that XLA makes of it: no GPU is needed for that.

    python -m tests.benchmarks.bench_kernels [--envs 64]

For each system: operations a step of `--envs` environments together (fusions, products, copies, … of the loop's body,
each of which is a launch on a GPU), beside the slots of its template, and operations that go to the host, in the whole
program. XLA compiles for this CPU; for a GPU it fuses otherwise, so the numbers say how launches grow, not how many
there are. Baseline is the smallest platoon: a step of more cars should launch hardly more.

Seen 2026-11-27 with 64 environments:

| system | nodes | slots | operations a step | to the host |
| --- | --- | --- | --- | --- |
| pendulum | 4 | 5 | 139 | 0 |
| its training | 4 | | | 0 |
| 4 cars | 5 | 5 | 38 | 0 |
| 16 cars | 17 | 17 | 59 | 0 |
| 64 cars | 65 | 31 | 87 | 0 |
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import jax

import rexcli as rex
from rexcli import pipeline
from rexcli.rl.seed_program import SeedProgram
from tests.benchmarks.bench_many_nodes import project

HOST = re.compile(r"\b(?:infeed|outfeed|send|recv)\(|custom_call_target=\"([^\"]*)\"")
"""What leaves the device, if it is not a library's own kernel."""
OWN = ("lapack", "blas", "Eigen", "TopK", "onednn", "Sharding", "SPMD")
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "iota", "after-all", "partition-id"}
"""Operations that launch nothing."""


def computations(text: str) -> dict[str, list[str]]:
    """The lines of each computation of a compiled module, by name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if (begun := re.match(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$", line)) is not None:
            name = begun.group(1)
            found[name] = []
        elif name and " = " in line:
            found[name].append(line.strip())
    return found


def operation(line: str) -> str:
    """The opcode of a line such as `%x = f32[2]{0} fusion(…)`."""
    found = re.match(r"^(?:ROOT )?%?[\w.\-]+ = (?:\(.*?\)|[\w\[\],{}:()*/ ]+?)\s([\w\-]+)\(", line)
    return found.group(1) if found else ""


def launches(name: str, code: dict[str, list[str]], inside: bool = True) -> int:
    """Operations of a computation, with those of loops (once) and branches inside it."""
    count = 0
    for line in code.get(name, []):
        kind = operation(line)
        if kind in FREE:
            continue
        count += 1
        if inside and kind in ("while", "conditional", "call"):
            called = re.findall(r"(?:body|to_apply|true_computation|false_computation)=%?([\w.\-]+)", line)
            for group in re.findall(r"branch_computations=\{([^}]*)\}", line):
                called += [each.strip().lstrip("%") for each in group.split(",")]
            count += sum(launches(each, code) for each in called)
    return count


def step_launches(text: str) -> int:
    """Operations of the largest loop body, which is that of a step."""
    code = computations(text)
    bodies = re.findall(r"\swhile\(.*body=%?([\w.\-]+)", text)
    return max(launches(body, code) for body in bodies)


def to_host(text: str) -> list[str]:
    """Operations that go to the host."""
    found = [match.group(1) or match.group(0) for match in HOST.finditer(text)]
    return [each for each in found if not any(name in each for name in OWN)]


def compiled(program: Any, envs: int, steps: int) -> str:
    def one(program: Any, key: jax.Array) -> Any:
        return program.rollout(program.reset(program.init(key))[0], steps)[0].state

    keys = jax.random.split(jax.random.key(0), envs)
    return str(jax.jit(jax.vmap(one, (None, 0))).lower(program, keys).compile().as_text())


def row(what: str, experiment: Any, envs: int) -> None:
    system = rex.build(experiment)
    timeline = rex.simulate(system, episodes=2, steps=40)
    program = pipeline.compile(experiment, system, timeline)
    text = compiled(program, envs, 30)
    slots = len(program.layout.slots)
    print(f"| {what} | {len(system.nodes)} | {slots} | {step_launches(text)} | {len(to_host(text))} |", flush=True)


def training(experiment: Any) -> str:
    """The code that moves the seeds of a training on."""
    system = rex.build(experiment)
    task = rex.environment(experiment, system)
    timeline, _ = pipeline.timeline_for(experiment, system, task=task)
    program = rex.compile(experiment, system, timeline, task=task)
    programs = SeedProgram([pipeline.training_setup(experiment, program, task)])
    return f"{programs._run_learn.as_text()}\n{programs._run_judge.as_text()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--envs", type=int, default=64)
    envs = parser.parse_args().envs
    print("| system | nodes | slots | operations a step | to the host |", "| --- " * 5 + "|", sep="\n")
    row("pendulum", rex.compose("pendulum"), envs)
    print(f"| its training | 4 | | | {len(to_host(training(rex.compose('pendulum'))))} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        project(Path(folder))
        os.chdir(folder)
        for cars in (4, 16, 64):
            row(f"{cars} cars", rex.compose("platoon", f"nodes.car.replicas={cars}"), envs)


if __name__ == "__main__":
    main()
