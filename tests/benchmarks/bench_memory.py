"""Bytes of state that one environment carries from step to step, by length of the timeline and number of episodes.

    python -m tests.benchmarks.bench_memory

What an environment carries is its graph state: random keys, parameters, node states and rings of messages. The tables
that say what runs when are there once for all environments, so they are listed apart. The last column is what XLA
sets aside, beside arguments and results, for one step of a batch, for each environment in it.

Seen 2026-11-22: 244 bytes of state, 80 of them rings, at 30, 300 and 3,000 steps alike, and 289 for XLA; 260 bytes with
16 episodes, whose rings must serve the longest delay of any.
"""

from __future__ import annotations

import os

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")

from typing import Any

import jax

from rexcli import pipeline
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.system.states import GraphState

BATCH = 1000


def size(tree: Any) -> int:
    """Bytes of all leaves."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def step(program: Program, states: GraphState) -> GraphState:
    """One step of a batch."""
    return jax.vmap(program.run)(states)


def main() -> None:
    print(f"{'steps':>6}{'episodes':>10}{'state, B':>10}{'rings, B':>10}{'tables, B':>11}{'XLA, B':>9}   messages kept")
    for steps, episodes in ((30, 1), (300, 1), (3000, 1), (300, 16)):
        experiment = pipeline.compose("pendulum", f"timeline.episodes={episodes}", f"timeline.steps={steps}")
        system = pipeline.build(experiment)
        program = Program(system, make_plan(pipeline.timeline_for(experiment, system)[0]))
        state = jax.eval_shape(program.init, jax.random.key(0))
        rings = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.outputs))
        concrete = program.init(jax.random.key(0))
        keys = jax.random.split(jax.random.key(0), BATCH)
        batch = jax.vmap(program.init)(keys)
        used = jax.jit(step, donate_argnums=1).lower(program, batch).compile().memory_analysis()
        kept = ", ".join(f"{name} {count}" for name, count in program.plan.rings.items())
        print(
            f"{steps:>6}{episodes:>10}{size(concrete):>10}{rings:>10}{size(program):>11}"
            f"{used.temp_size_in_bytes / BATCH:>9.0f}   {kept}"
        )


if __name__ == "__main__":
    main()
