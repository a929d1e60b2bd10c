"""Defines the task: observations, actions and rewards, in a class from which users derive."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from rexcli.config.schema import ObservationConfig
from rexcli.errors import RexError
from rexcli.rl import history
from rexcli.rl.metrics import Metric
from rexcli.rl.observed_nodes import observed_nodes
from rexcli.rl.spaces import ActionSpace, Box, Dict, ObservationSpace
from rexcli.system.infer_outputs import example_step_state
from rexcli.system.init import init_graph_state
from rexcli.system.node import Node
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System

PyTree = Any
PAST = "observations"
"""The key of past observations in `GraphState.memory`."""


class Environment:
    """A task on a system, from the supervisor's point of view.

    Write `reward`, and override the other methods that the task needs. `observe` and `act` see only what the supervisor
    sees, so a policy runs in the same way on the stepper, on the wall clock and in the compiled program. All methods
    are pure JAX, for one episode.

    `reward`, `terminated`, `measure`, `value_after`, `privileged` and `before_step` get the whole system at the start
    of the supervisor's next tick, in every executor: the state of every other node after its newest tick that has ended
    by then, and the state of the supervisor after the tick that it has just made. They may use states and parameters;
    the form of `graph_state.outputs` depends on the executor.

    Arguments of its `__init__` are the task's own options, next to `_target_` in YAML. `system`, `supervisor` and
    `max_steps` are available in all methods except `__init__`.
    """

    seconds: float = 3.0
    """Length of a training episode."""

    system: System
    """The system of the task; set by `bind`."""

    observation_config: ObservationConfig = ObservationConfig()
    """What a policy observes in addition to the result of `observe`: `observation` in YAML."""

    metrics: Mapping[str, Metric] = MappingProxyType({})
    """The metrics that evaluations compute from each episode's measures, by name: `eval.metrics` in YAML."""

    def bind(self, system: System) -> Environment:
        """Sets the system of the task, and deletes every cached property of an earlier one; returns the task."""
        self.system = system
        for name, attribute in inspect.getmembers_static(type(self)):
            if isinstance(attribute, cached_property):
                vars(self).pop(name, None)
        return self

    @property
    def supervisor(self) -> Node:
        """The node that acts."""
        return self.system.nodes[self.system.supervisor]

    @property
    def max_steps(self) -> int:
        """The number of supervisor steps after which a training episode is truncated."""
        return self.steps_in(self.seconds)

    def steps_in(self, seconds: float) -> int:
        """Returns the number of supervisor steps in some seconds, at least 1."""
        return max(1, round(seconds * self.supervisor.rate))

    # ------------------------------------------------------------------ what the policy sees and does

    @property
    def observation_space(self) -> ObservationSpace:
        """The space of observations, without bounds, with the size, or the names, of what a policy sees, see
        `observation`.
        """
        seen = jax.eval_shape(self.observation, self._example)
        where = f"{type(self).__name__}.observe"
        if isinstance(seen, dict):
            try:
                return Dict.like(seen)
            except RexError as error:
                raise RexError(f"{where} returns a dict: {error}") from None
        shape = getattr(seen, "shape", None)
        if shape is None:
            raise RexError(f"{where} returns {type(seen).__name__}: return a vector, [obs_dim], or a dict of arrays")
        if len(shape) != 1:
            raise RexError(f"{where} returns shape {shape}: return a vector, [obs_dim], or a dict of arrays")
        return Box.unbounded(shape[0])

    def observation(self, step_state: StepState) -> Any:
        """Returns what a policy sees: the result of `observe`, with what `observation_config` adds to it.

        With a history, vectors become one vector with the last observations, oldest first, `[history * obs_dim]`; dicts
        get a leading `[history]` in each array. Ages are the last numbers of an observation, or the dict's `ages`.
        """
        seen, _ = self._observed(step_state)
        return seen

    def take_action(self, step_state: StepState, action: jax.Array) -> tuple[StepState, PyTree]:
        """Calls `act`, and stores in the memory what the next observations need."""
        after, output = self.act(step_state, action)
        _, memory = self._observed(step_state)
        return (after.replace(memory={**step_state.memory, PAST: memory}) if memory else after), output

    def initial_memory(self) -> dict[str, PyTree]:
        """Returns the memory of past observations before the first one, for `GraphState.memory`; zeros."""
        config = self.observation_config
        if config == ObservationConfig():
            return {}
        example = jax.eval_shape(self._observe_now, self._example, jnp.zeros(()))
        past: dict[str, PyTree] = {"begun": jnp.asarray(False)}
        if config.ages:
            past["seconds"] = jnp.zeros(())
        if config.history > 1:
            past["observations"] = history.empty(example, config.history)
        return {PAST: past}

    def _observed(self, step_state: StepState) -> tuple[Any, dict[str, PyTree]]:
        """Returns what a policy sees, and what is to be stored of it."""
        config = self.observation_config
        if config == ObservationConfig():
            return self.observe(step_state), {}
        past = step_state.memory.get(PAST) or self.initial_memory()[PAST]
        begun = past["begun"]
        memory = {"begun": jnp.ones_like(begun)}
        seconds = jnp.zeros(())
        if config.ages:
            memory["seconds"] = seconds = jnp.where(begun, past["seconds"] + step_state.dt, 0.0)
        now = self._observe_now(step_state, seconds)
        if config.history == 1:
            return now, memory
        stacked = history.stack(past["observations"], begun, now)
        memory["observations"] = jax.tree.map(lambda leaf: leaf[1:], stacked)
        return history.as_observation(stacked), memory

    def _observe_now(self, step_state: StepState, seconds: jax.Array) -> Any:
        """Returns the result of `observe`, with the ages of messages if a policy sees them, `seconds` after the
        episode's start.
        """
        seen = self.observe(step_state)
        if isinstance(seen, Mapping):
            seen = dict(seen)
        if not self.observation_config.ages:
            return seen
        where = f"observation.ages: {type(self).__name__}"
        if not step_state.inputs:
            raise RexError(f"{where}: '{self.system.supervisor}' has no inputs whose age it could see; leave it out")
        inputs = step_state.inputs.values()
        ages = jnp.concatenate([jnp.where(each.seq < 0, seconds, each.age).astype(jnp.float32) for each in inputs])
        if not isinstance(seen, dict):
            return jnp.concatenate([jnp.asarray(seen), ages])
        if "ages" in seen:
            raise RexError(f"{where}.observe returns 'ages' itself; give it another name, or observation.ages=false")
        return {**seen, "ages": ages}

    @property
    def action_space(self) -> ActionSpace:
        """The space of actions: a `Box`, `Discrete` or `MultiDiscrete`.

        By default it is a box within ±1, with one dimension for each number in the supervisor's output.

        Raises:
            RexError: if the output only has integers, so that the number of choices is unknown.
        """
        leaves = jax.tree.leaves(self._example_output)
        real = any(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)
        if type(self).act is Environment.act and leaves and not real:
            raise RexError(
                f"{type(self).__name__}: '{self.system.supervisor}' sends whole numbers, and nothing says how "
                "many there are; write action_space, Discrete(n) or MultiDiscrete([n1, n2])"
            )
        size = sum(leaf.size for leaf in leaves)
        return Box((-1.0,) * size, (1.0,) * size)

    def observe(self, step_state: StepState) -> jax.Array | Mapping[str, PyTree]:
        """Returns what a policy sees, `[obs_dim]`, or a dict of arrays of any shape, nested or not.

        The networks see a dict's numbers as one vector, float32, in the order of sorted keys; a policy on a robot takes
        the dict. By default, it is all numbers of the newest message of every input.
        """
        newest = [step_state.inputs[name][-1].data for name in step_state.inputs]
        return jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(newest)])

    def act(self, step_state: StepState, action: jax.Array) -> tuple[StepState, PyTree]:
        """Makes the supervisor's step with a given action; by default, its numbers fill the output in order.

        Args:
            step_state: what the supervisor sees.
            action: an element of the action space: `[action_dim]`, float32 for a `Box`, int32 for a `MultiDiscrete`; an
                int32 scalar for a `Discrete`.

        Raises:
            RexError: if the output has more or fewer numbers.
        """
        leaves, structure = jax.tree.flatten(self._example_output)
        action, wanted = jnp.ravel(action), sum(leaf.size for leaf in leaves)
        if action.size != wanted:
            sender = self.system.supervisor
            raise RexError(
                f"{type(self).__name__}: an action has {action.size} numbers, but what '{sender}' sends has {wanted}; "
                "write act"
            )
        filled, begin = [], 0
        for leaf in leaves:
            filled.append(action[begin : begin + leaf.size].reshape(leaf.shape).astype(leaf.dtype))
            begin += leaf.size
        return step_state, jax.tree.unflatten(structure, filled)

    # ------------------------------------------------------------------ what counts

    @cached_property
    def observed(self) -> tuple[str, ...]:
        """The nodes, except the supervisor, whose states the methods below use or change, found by tracing them."""
        return observed_nodes(self)

    def before_step(self, graph_state: GraphState) -> GraphState:
        """Returns the system before the supervisor acts, for example with a cost set to zero. Ticks that are running at
        that time continue from the returned states."""
        return graph_state

    def reward(self, graph_state: GraphState) -> jax.Array:
        """Returns the reward of the step that led here, float32."""
        raise RexError(f"{type(self).__name__} has no reward(graph_state); write one")

    def terminated(self, graph_state: GraphState) -> jax.Array:
        """Returns whether the task is over here, bool: no more rewards follow."""
        return jnp.asarray(False)

    def value_after(self, graph_state: GraphState, gamma: float) -> jax.Array | None:
        """Returns the discounted return after the end of a truncated episode; None to ask the critic.

        `gamma` is traced, so that trainings with different discounts share one compilation, unless this method needs
        its value, as in `if gamma < 1`.
        """
        return None

    def privileged(self, graph_state: GraphState) -> PyTree:
        """Returns what only a simulator knows, for a critic that sees more than the policy (`ppo.critic: privileged`).

        These are arrays of any structure, which a policy never sees, at the times of observations; None for nothing.
        """
        return None

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """Returns scalars by name that an evaluation records at every step, from which `metrics` are computed."""
        return {}

    # ------------------------------------------------------------------ shapes

    @cached_property
    def _example(self) -> StepState:
        """The shapes of what the supervisor sees."""
        if not hasattr(self, "system"):
            raise RexError(f"{type(self).__name__}: bind(system) it before use")

        def example() -> StepState:
            state = init_graph_state(self.system, jax.random.key(0))
            return example_step_state(self.system, state, self.system.supervisor)

        return jax.eval_shape(example)

    @cached_property
    def _example_output(self) -> PyTree:
        """The shapes of what the supervisor sends."""
        return jax.eval_shape(lambda: init_graph_state(self.system, jax.random.key(0)).outputs[self.system.supervisor])


class AsItIs:
    """A task with its present attributes: equal to itself as long as none of its attributes is assigned
    another value.
    """

    def __init__(self, task: Environment):
        self.task = task
        self._attributes: dict[Any, Any] = {}
        for name, value in vars(task).items():
            entries = value.items() if isinstance(value, Mapping) else [(None, value)]
            self._attributes |= {(name, key): entry for key, entry in entries if not name.startswith("_")}

    def __hash__(self) -> int:
        return id(self.task)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AsItIs) or self.task is not other.task:
            return False
        mine, others = self._attributes, other._attributes
        return mine.keys() == others.keys() and all(value is others[name] for name, value in mine.items())
