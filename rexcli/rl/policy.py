"""Defines a trained policy: a small folder of plain arrays and JSON that acts wherever its task's supervisor runs.

All policies act by `init_state` and `apply`: the caller passes on the recurrent state, which is `()` for policies
without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol, get_args

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from flax import struct, traverse_util

from rexcli.config.schema import Memory, ObservationConfig
from rexcli.errors import RexError
from rexcli.rl import history
from rexcli.rl.environment import AsItIs, Environment
from rexcli.rl.networks import (
    ActionDistribution,
    ActorCritic,
    Categorical,
    action_distribution,
    next_memory,
    state_value,
)
from rexcli.rl.normalize import RunningStats
from rexcli.rl.spaces import ActionSpace, Box, Dict, Entry, action_space_as_json, action_space_of_json
from rexcli.runs.formats import decode_arrays, decode_json, encode_json
from rexcli.runs.storage import atomic_folder
from rexcli.system.states import StepState

PyTree = Any
Observation = Any
"""A vector `[..., obs_dim]`, or a dict of arrays with leading `[...]`."""

EXPORTED = "policy.jax_export"
"""The file with the policy as a function that only needs JAX."""

MOST_NUMBERS, MOST_LAYERS = 2**20, 64
"""The most numbers in an observation or units in a layer, and the most layers, of a policy that is read."""

FORMAT = 3
"""The version of the folder; a newer one is refused. Version 1 had no discrete actions and no dicts of observations,
version 2 no memory, history or ages."""

STATE = "policy"
"""The key of a policy's recurrent state in `GraphState.memory`."""


class Actor(Protocol):
    """Acts on observations: a `Policy`, or an `rexcli.rl.ensemble.Ensemble` of them."""

    @property
    def observation_config(self) -> ObservationConfig:
        """What it observes in addition to the result of the task's `observe`."""

    @property
    def action_space(self) -> ActionSpace:
        """The action space of the task that it was trained on."""

    @property
    def observation_space(self) -> Dict | None:
        """The observation space of that task; None for vectors."""

    @property
    def observation_size(self) -> int:
        """The size of an observation."""

    def init_state(self) -> PyTree:
        """Returns the recurrent state at the start of an episode."""

    def apply(self, state: PyTree, observation: Observation, rng: jax.Array | None = None) -> tuple[jax.Array, PyTree]:
        """Returns the action at an observation, in the task's units, or the number of a choice, and the next recurrent
        state. The action is random if a key is given."""

    def controller(self, environment: Environment) -> PolicyController:
        """Returns the supervisor's step under this policy."""


@jax.tree_util.register_pytree_node_class
class PolicyController:
    """The supervisor's step under a policy, `step_state -> (step_state, output)`, for any executor. It is a pytree, as
    the policy is.

    Args:
        policy: the policy that acts.
        environment: its task, bound to a system.
        deterministic: whether to act without noise.

    Raises:
        RexError: if the task's observations or actions have another size or kind.
    """

    def __init__(self, policy: Actor, environment: Environment, deterministic: bool = True):
        _check_alike(policy, environment)
        self.policy, self.environment, self.deterministic = policy, environment, deterministic

    def tree_flatten(self) -> tuple[tuple[Actor], tuple[AsItIs, bool]]:
        return (self.policy,), (AsItIs(self.environment), self.deterministic)

    @classmethod
    def tree_unflatten(cls, fixed: tuple[AsItIs, bool], policies: tuple[Actor]) -> PolicyController:
        controller = object.__new__(cls)
        controller.policy, controller.environment, controller.deterministic = policies[0], fixed[0].task, fixed[1]
        return controller

    def initial_memory(self) -> dict[str, PyTree]:
        """Returns the memory at the start of an episode, which is passed on from tick to tick
        in `GraphState.memory`.
        """
        state = self.policy.init_state()
        return self.environment.initial_memory() | ({STATE: state} if jax.tree.leaves(state) else {})

    def __call__(self, step_state: StepState) -> tuple[StepState, PyTree]:
        rng = None if self.deterministic else jax.random.fold_in(step_state.rng, step_state.seq)
        state = step_state.memory.get(STATE, self.policy.init_state())
        action, state = self.policy.apply(state, self.environment.observation(step_state), rng)
        after, output = self.environment.take_action(step_state, action)
        return (after.replace(memory={**after.memory, STATE: state}) if jax.tree.leaves(state) else after), output


def _check_alike(policy: Actor, environment: Environment) -> None:
    """Raises an error if a policy was trained on another task, as far as this can be detected."""
    for key, trained in vars(policy.observation_config).items():
        if (given := getattr(environment.observation_config, key)) != trained:
            given, trained = (str(value).lower() for value in (given, trained))
            raise RexError(
                f"observation.{key}={given}: the policy was trained with {trained}; give observation.{key}={trained}"
            )
    seen, acted = environment.observation_space, environment.action_space
    known = policy.observation_space or Box.unbounded(policy.observation_size)
    pairs: tuple[tuple[str, Any, Any, bool], ...] = (
        ("observations", seen, known, seen == known or (isinstance(seen, Box) and isinstance(known, Box))),
        ("actions", acted, policy.action_space, acted.categories == policy.action_space.categories),
    )
    for what, offered, trained, alike in pairs:
        if offered.size != trained.size or not alike:
            raise RexError(
                f"{what} of {type(environment).__name__} are {offered}, but the policy was trained with {trained}; "
                "give it the system and the task that it was trained on"
            )


class Policy(struct.PyTreeNode):
    """Everything that is needed to act. It is a pytree: pass it to jitted functions.

    Attributes:
        params: parameters of the networks. The critic is included if it only needs an observation.
        observations: running statistics by which observations are normalised, or None.
        network: the shape of the networks.
        action_space: the space to which actions are scaled, or the discrete choices.
        observation_space: the names, shapes and types of observations that are dicts; None for vectors.
        observation_config: what it observes in addition to the result of the task's `observe`.
    """

    params: PyTree
    observations: RunningStats | None
    network: ActorCritic = struct.field(pytree_node=False)
    action_space: ActionSpace = struct.field(pytree_node=False)
    observation_space: Dict | None = struct.field(pytree_node=False, default=None)
    observation_config: ObservationConfig = struct.field(pytree_node=False, default=ObservationConfig())

    def init_state(self, batch: tuple[int, ...] = ()) -> PyTree:
        """Returns the recurrent state at the start of an episode, `[*batch, memory_units]`; `()` without one."""
        return jnp.zeros((*batch, self.network.memory_units)) if self.network.recurrent else ()

    def apply(self, state: PyTree, observation: Observation, rng: jax.Array | None = None) -> tuple[jax.Array, PyTree]:
        """Returns the action at observations `[...]`, in the task's units, or the number of a choice, and the next
        recurrent state. The action is random if a key is given."""
        actions, state = self.distribution_after(state, observation)
        raw = actions.mode() if rng is None else actions.sample(rng)
        return self.action_space.from_unit(actions.unit(raw)), state

    def distribution_after(
        self, state: PyTree, observation: Observation
    ) -> tuple[ActionDistribution | Categorical, PyTree]:
        """Returns the distribution of raw actions at observations `[...]`, and the next recurrent state."""
        seen = self._seen(observation)
        if not self.network.recurrent:
            return action_distribution(self.network, self.params, seen), state
        state = next_memory(self.network, self.params, "actor", seen, state)
        return action_distribution(self.network, self.params, seen, state), state

    def distribution(self, observation: Observation) -> ActionDistribution | Categorical:
        """Returns the distribution of raw actions at observations, `[...]`, of a policy without recurrent state."""
        if self.network.recurrent:
            raise RexError("this policy remembers: carry its state, action, state = policy.apply(state, observation)")
        return self.distribution_after((), observation)[0]

    def action(self, observation: Observation, rng: jax.Array | None = None) -> jax.Array:
        """Returns the action of a policy without recurrent state, as `apply` does."""
        actions = self.distribution(observation)
        raw = actions.mode() if rng is None else actions.sample(rng)
        return self.action_space.from_unit(actions.unit(raw))

    def value(self, observation: Observation) -> jax.Array:
        """Returns the critic's value, in units of scaled reward, `[...]`.

        Raises:
            RexError: if the critic is recurrent, or needs what only a simulator knows, and so is not part of the
                policy.
        """
        if "critic" not in self.params["params"]:
            raise RexError("this policy's critic needs more than an observation, and was not kept with it")
        return state_value(self.network, self.params, self._seen(observation))

    def _seen(self, observation: Observation) -> jax.Array:
        """Returns the input of the networks, `[..., obs_dim]`."""
        space = self.observation_space
        flat = jnp.asarray(observation, jnp.float32) if space is None else space.flatten(observation)
        return flat if self.observations is None else self.observations.normalize(flat)

    @property
    def observation_size(self) -> int:
        """The size of an observation."""
        params, remembered = self.params["params"], self.network.memory_units if self.network.recurrent else 0
        return params["actor"]["Dense_0"]["kernel"].shape[0] - remembered

    def controller(self, environment: Environment, *, deterministic: bool = True) -> PolicyController:
        """Returns the supervisor's step under this policy, see `PolicyController`."""
        return PolicyController(self, environment, deterministic)

    def save(self, folder: Path, recipe: Mapping[str, Any] | None = None) -> None:
        """Writes the policy to a folder, atomically.

        Args:
            folder: the folder, which is created or replaced.
            recipe: how observations are computed: the `env` section of the experiment.
        """
        arrays: dict[str, Any] = {
            f"params/{name}": leaf for name, leaf in traverse_util.flatten_dict(self.params, sep="/").items()
        }
        if self.observations is not None:
            arrays |= {f"observations/{name}": getattr(self.observations, name) for name in _STATS_FIELDS}
        about = {
            "format": FORMAT,
            "network": {name: getattr(self.network, name) for name in _NETWORK_FIELDS},
            "action_space": action_space_as_json(self.action_space),
            "observation_space": None if self.observation_space is None else asdict(self.observation_space)["entries"],
            "normalized": self.observations is not None,
            "observation": asdict(self.observation_config),
            "env": dict(recipe or {}),
        }
        with atomic_folder(folder) as temporary:
            (temporary / EXPORTED).write_bytes(self.exported())
            np.savez(temporary / "weights.npz", **arrays)
            (temporary / "policy.json").write_bytes(encode_json(about))

    def exported(self) -> bytes:
        """Returns the policy as one function from observation to action, in the format of `jax.export`.

        It takes a float32 vector `[obs_dim]`, or a dict with the shapes and types of the observation space, and returns
        float32 `[action_dim]`, or int32 for discrete actions. A policy that is recurrent, or sees a history, takes its
        state first and then the observation of one tick, and returns the action and the next state; the state is zero
        at the start of an episode.

        A robot only needs JAX: `jax.export.deserialize(bytearray(data)).call(observation)`.
        """
        window = self.observation_config.history
        if self.observation_space is None:
            observation: Any = jax.ShapeDtypeStruct((self.observation_size // window,), jnp.float32)
        else:
            first = slice(None if window == 1 else 1, None)  # without the axis of the history
            observation = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape[first], leaf.dtype), self.observation_space.example
            )
        platforms = ("cpu", "cuda", "tpu")
        if not self.network.recurrent and window == 1:
            return bytes(jax.export.export(jax.jit(self.action), platforms=platforms)(observation).serialize())
        state = jax.eval_shape(partial(self._start, observation))
        return bytes(jax.export.export(jax.jit(self._step), platforms=platforms)(state, observation).serialize())

    def _start(self, observation: PyTree) -> dict[str, PyTree]:
        """Returns the state of an exported policy at the start of an episode: zeros. `observation` is that of
        one tick.
        """
        start = {"begun": jnp.asarray(False), "policy": self.init_state()}
        if (window := self.observation_config.history) > 1:
            start["observations"] = history.empty(observation, window)
        return start

    def _step(self, state: dict[str, PyTree], observation: PyTree) -> tuple[jax.Array, dict[str, PyTree]]:
        """Makes a step of an exported policy that is recurrent or sees a history."""
        after = {"begun": jnp.ones_like(state["begun"])}
        seen = observation
        if self.observation_config.history > 1:
            stacked = history.stack(state["observations"], state["begun"], observation)
            after["observations"] = jax.tree.map(lambda leaf: leaf[1:], stacked)
            seen = history.as_observation(stacked)
        action, after["policy"] = self.apply(state["policy"], seen)
        return action, after

    @classmethod
    def load(cls, folder: Path) -> Policy:
        """Reads a policy that `save` wrote.

        Raises:
            RexError: if there is no policy, or it is damaged or newer than this program.
        """
        try:
            about = decode_json((folder / "policy.json").read_bytes())
            arrays = {name: jnp.asarray(leaf) for name, leaf in decode_arrays(folder / "weights.npz").items()}
        except FileNotFoundError as error:
            raise RexError(
                f"{folder}: no policy there ({error.filename} is missing); give a run of `rex train`"
            ) from None
        except (ValueError, TypeError, OSError) as error:
            raise RexError(f"{folder}: the policy is damaged: {error}") from None
        if not isinstance(about, dict):
            raise RexError(f"{folder}: the policy is damaged: policy.json is no object")
        if about.get("format") not in range(1, FORMAT + 1):
            raise RexError(
                f"{folder}: policy format {about.get('format')}, but this program reads up to {FORMAT}; update it"
            )
        weights = {tuple(name.split("/")[1:]): leaf for name, leaf in arrays.items() if name.startswith("params/")}
        try:
            stats = None
            if about["normalized"]:
                stats = RunningStats(*(arrays[f"observations/{name}"] for name in _STATS_FIELDS))
            space = action_space_of_json(about["action_space"])
            network = ActorCritic(**about["network"], categories=space.categories)
            named = about["observation_space"] if about["format"] > 1 else None
            seen = None if named is None else Dict(tuple(Entry.of_json(entry) for entry in named))
            about_observation = about["observation"] if about["format"] > 2 else {}
            observation_config = ObservationConfig(**about_observation)
            policy = cls(traverse_util.unflatten_dict(weights), stats, network, space, seen, observation_config)
            policy._check()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RexError) as error:
            raise RexError(f"{folder}: the policy is damaged: {type(error).__name__} {error}") from None
        return policy

    def _check(self) -> None:
        """Raises an error for weights that do not fit their network, so that the policy cannot fail when it acts.

        Raises:
            An error that `load` converts to a RexError.
        """
        size, network = self.observation_size, self.network
        window, ages = self.observation_config.history, self.observation_config.ages
        if type(window) is not int or type(ages) is not bool or not 1 <= window <= size:
            raise ValueError(f"observations of {window} ticks, ages: {ages}")
        if network.memory not in get_args(Memory):
            raise ValueError(f"memory {network.memory}")
        if max(size, network.units, network.memory_units) > MOST_NUMBERS or network.layers > MOST_LAYERS:
            raise ValueError(f"a network of {network.layers} layers of {network.units} for {size} numbers")
        init = self.network.init
        if "critic" not in self.params["params"]:
            init = partial(init, method="act")
        want = jax.eval_shape(init, jax.random.key(0), jax.ShapeDtypeStruct((size,), jnp.float32))
        stats = RunningStats.empty((size,))
        pairs = [("weights", want, self.params)]
        if self.observations is not None:
            pairs.append(("statistics of observations", stats, self.observations))
        for what, declared, there in pairs:
            shapes = [jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree) for tree in (declared, there)]
            if shapes[0] != shapes[1]:
                raise ValueError(f"{what} that are not of its network")
            if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(there)):
                raise ValueError(f"{what} that are not finite")
        if self.observation_space is not None and self.observation_space.size != size:
            raise ValueError(f"observations of {self.observation_space.size} numbers, but weights for {size}")


_STATS_FIELDS = ("mean", "var", "count")
_NETWORK_FIELDS = (
    "action_size",
    "layers",
    "units",
    "activation",
    "kernel_init",
    "state_independent_std",
    "squash",
    "memory",
    "memory_units",
)
