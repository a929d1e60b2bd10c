"""What the task `thing` is, in a line.

An experiment declares it so, in conf/*.yaml:

    env:
      _target_: nodes.thing.Thing
      seconds: 4.0               # arguments of the class
    eval:
      metrics:
        small:
          _target_: rexcli.rl.metrics.Mean
          of: size
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from rexcli import Environment, GraphState, StepState


class Thing(Environment):
    """Describe what is to be done.

    Args:
        seconds: length of a training episode.
    """

    def __init__(self, seconds: float = 4.0):
        self.seconds = seconds

    # @property
    # def action_space(self):    # default: within ±1, a number for each that the supervisor sends
    #     return Box([-5.0], [5.0])                    # from rexcli import Box, Discrete, MultiDiscrete

    def observe(self, step_state: StepState) -> jax.Array:
        """Returns what a policy sees, and nothing else; this default is the newest message of every input."""
        newest = [step_state.inputs[name][-1].data for name in step_state.inputs]
        return jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(newest)])

    # def act(self, step_state, action):               # default: the action's numbers are the output
    #     return step_state, action[0]

    def reward(self, graph_state: GraphState) -> jax.Array:
        """Returns the reward of the step that led here. `graph_state.state["NODE"]` is the state of any node."""
        return -self._size(graph_state)

    def terminated(self, graph_state: GraphState) -> jax.Array:
        """Returns whether the task is over, so that a new episode begins."""
        return self._size(graph_state) > 1e3

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """Returns scalars by name, for `eval.metrics`."""
        return {"size": self._size(graph_state)}

    def _size(self, graph_state: GraphState) -> jax.Array:
        """Returns the root mean square of all numbers in the states of all nodes: put your own quantity here."""
        leaves = jax.tree.leaves({name: graph_state.state[name] for name in self.system.nodes})
        numbers = jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in leaves])
        return jnp.sqrt(jnp.mean(numbers**2))
