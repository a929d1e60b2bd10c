"""Finds where a training met its first number that is not finite: node, field and tick, or observation, policy or
reward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.compiler.program import Program
from rexcli.rl.environment import Environment
from rexcli.rl.vector_env import VectorEnvState
from rexcli.runtime.nan import SEARCHED, may_be_nan, named
from rexcli.system.paths import leaf_paths
from rexcli.timeline.phases import topological

PyTree = Any
Collect = Callable[[Program, Any, Callable[[VectorEnvState, jax.Array], PyTree]], tuple[Any, Any, PyTree]]
"""Collects the transitions of an update, from a learner's state. It also takes a function whose results before each
step are recorded, and returns the next state, the transitions and these results."""

BEGIN, OBSERVATION, POLICY, TICK, REWARD = range(5)
"""The stages of a step of an environment, in order."""
WORDS = ("NaN", "infinite")
LOWER = "lower ppo.lr or ppo.max_grad_norm"


def find_failure(collect: Collect, task: Environment, program: Program, state: Any) -> str:
    """Returns a message that names the first value in an update that was not finite.

    It searches for NaN first: some quantities may be infinite, such as the distance to a missing object.
    """
    nodes = program.layout.nodes

    def note(program: Program, envs: VectorEnvState, actions: jax.Array) -> PyTree:
        def one(env: Any, action: jax.Array) -> PyTree:
            graph_state = task.before_step(env.graph_state)
            seen = program.step_state(graph_state)
            step_state, output = task.take_action(seen, action)
            _, record = program.step_and_keep(graph_state, step_state, output, dict.fromkeys(nodes, SEARCHED))
            begins = {name: {"state": _flags(state, 0)} for name, state in env.graph_state.state.items()}
            ticks = {
                name: (each.seq, each.ts, {field: _flags(tree, 1) for field, tree in each.fields.items()})
                for name, each in record.items()
            }
            new = env.graph_state.step == env.graph_state.origin
            return {"begins": begins, "ticks": ticks, "at": (graph_state.eps, seen.seq, seen.ts, new)}

        return jax.vmap(one)(envs.env, actions)

    @jax.jit
    def replay(program: Program, state: Any) -> PyTree:
        _, seen, notes = collect(program, state, partial(note, program))
        parts = {"observation": seen.observation, "policy": (seen.raw, seen.log_prob), "reward": seen.reward}
        return notes | {"parts": {name: _flags(part, 2) for name, part in parts.items()}}

    notes = jax.tree.map(np.asarray, replay(program, state))
    turns = topological(program.system.timing)
    for kind, word in enumerate(WORDS):
        found = list(_candidates(notes, kind, word, turns, program.supervisor))
        if found:
            ticks = [each for each in found if each[1] == TICK]
            first = min(found, key=lambda each: each[:-1])
            # What an episode begins with came of ticks before it; where another saw such a tick, that says more.
            return (min(ticks, key=lambda each: each[:-1]) if ticks and first[1] == BEGIN else first)[-1]
    return f"all that was collected is finite, but the update is not; {LOWER}"


def _flags(tree: PyTree, leading: int) -> PyTree:
    """Returns whether each entry `[leading axes]` has NaN, and infinity or NaN, bool `[leading axes, 2]`, by
    key path.
    """

    def flag(leaf: jax.Array) -> jax.Array:
        rest = tuple(range(leading, leaf.ndim))
        return jnp.stack([jnp.isnan(leaf).any(rest), (~jnp.isfinite(leaf)).any(rest)], axis=-1)

    return {path: flag(leaf) for path, leaf in leaf_paths(tree).items() if may_be_nan(leaf)}


def _candidates(
    notes: PyTree, kind: int, word: str, turns: list[str], supervisor: str
) -> Iterator[tuple[int, int, float, int, int, str]]:
    """Yields the first place of each quantity with such numbers: the step of the collection, the stage in it, the time,
    the node's rank, the field's rank; and a message."""
    eps, seq, ts, new = notes["at"]

    def where(step: int, env: int, seconds: float) -> str:
        return f"at {seconds:.6g} s of the timeline's episode {eps[step, env]} (environment {env})"

    tainted = np.zeros(seq.shape, bool)
    for name, fields in notes["begins"].items():
        for path, flags in fields["state"].items():
            bad = flags[..., kind]
            tainted |= bad
            if bad.any():
                step, env = np.argwhere(bad)[0]
                when = "as an episode begins" if new[step, env] else "already before the update"
                text = f"node '{name}': {named('state', path)} is {word} {when}, {where(step, env, ts[step, env])}"
                yield int(step), BEGIN, 0.0, turns.index(name), 0, text
    for stage, part in ((OBSERVATION, "observation"), (POLICY, "policy"), (REWARD, "reward")):
        for flags in notes["parts"][part].values():
            bad = flags[..., kind]
            if bad.any():
                step, env = np.argwhere(bad)[0]
                at = f"at step {seq[step, env]} of '{supervisor}', {where(step, env, ts[step, env])}"
                text = f"the task's {part} is {word} {at}"
                if stage == POLICY:
                    text = f"the policy gives actions or probabilities that are {word} {at}; {LOWER}"
                yield int(step), stage, 0.0, 0, 0, text
    for name, (seqs, starts, fields) in notes["ticks"].items():
        for order, field in enumerate(SEARCHED):
            for path, flags in fields[field].items():
                bad = flags[..., kind] & (seqs >= 0) & ~tainted[..., None]
                if bad.any():
                    step = int(np.argwhere(bad)[0][0])
                    env, slot = np.unravel_index(np.where(bad[step], starts[step], np.inf).argmin(), bad[step].shape)
                    seconds = float(starts[step, env, slot])
                    text = f"node '{name}': {named(field, path)} is {word} in step {seqs[step, env, slot]}"
                    text += f", {where(step, int(env), seconds)}"
                    yield step, TICK, seconds, turns.index(name), order, text
