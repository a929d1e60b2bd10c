"""What `thing` is, in a line.

Beside what is in conf/*.yaml already, an experiment declares it so:

    nodes:
      thing:
        _target_: nodes.thing.Thing
        rate: 50                 # Hz
        delay: 0.002             # s in which it is busy; or a distribution, as {_target_: rexcli.LogNormal, …}
        gain: 1.0                # arguments of the class
    edges:                       # one for each node that it reads
      SOURCE_thing:
        from: SOURCE
        to: thing
        name: source             # the input's name in the code below
        window: 1                # how many messages a step sees
        delay: 0.001             # s in flight
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rexcli import GraphState, Node, StepState


class Thing(Node):
    """Describe what the node does.

    Args:
        gain: factor of what the node reads.
    """

    # jit = False              # for hardware: `step` is then plain Python, with NumPy arrays

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        """Returns what the node remembers from step to step, any pytree; leave it out for ()."""
        return jnp.zeros(())

    def step(self, step_state: StepState) -> tuple[StepState, jax.Array]:
        """Makes one step; returns the new state and what the node sends. `dt` is the time since the last step, s.

        The newest message is `inputs[NAME][-1]`, with `data`, `age` (s) and `seq` (-1 before any came); `inputs[NAME]`
        has the same of all in the window, oldest first: `inputs[NAME].age` is `[window]`.
        """
        newest = step_state.inputs["source"][-1].data
        numbers = jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(newest)])
        state = step_state.state + step_state.dt * self.gain * numbers.sum()
        return step_state.replace(state=state), state

    # def init_output(self, rng, graph_state):         # what readers see before the first message; default: zeros
    #     return jnp.zeros(())                         # one node of a loop has to write it
    #
    # def startup(self, graph_state, timeout=None):    # once before the first step: connect, move to the start
    #     return True
    #
    # def stop(self, timeout=None):                    # once after the last, whatever happened: let go
    #     return True
