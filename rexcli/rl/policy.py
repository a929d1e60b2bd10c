"""A trained policy: a small folder of plain arrays and JSON that acts wherever its task's supervisor runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from flax import struct, traverse_util

from rexcli.compiler.program import Controller
from rexcli.errors import RexError
from rexcli.rl.environment import Environment
from rexcli.rl.networks import ActionDistribution, ActorCritic, Categorical, action_distribution, state_value
from rexcli.rl.normalize import RunningStats
from rexcli.rl.spaces import ActionSpace, Box, Dict, Entry, action_space_as_json, action_space_of_json
from rexcli.runs.formats import decode_arrays, decode_json, encode_json
from rexcli.runs.storage import atomic_folder
from rexcli.system.states import StepState

PyTree = Any
Observation = Any
"""A vector `[..., obs_dim]`, or a dict of arrays with `[...]` in front."""

EXPORTED = "policy.jax_export"
"""The file with the policy as a function that needs nothing but JAX."""

MOST_NUMBERS, MOST_LAYERS = 2**20, 64
"""The most numbers in an observation or units in a layer, and the most layers, of a policy that is read."""

FORMAT = 2
"""The version of the folder; a newer one is refused. Version 1 had no discrete actions and no dicts of observations."""


class Policy(struct.PyTreeNode):
    """What it takes to act. A pytree: pass it to jitted functions.

    Attributes:
        params: of the networks.
        observations: running statistics that observations are normalised by, or None.
        network: the shape of the networks.
        action_space: what actions are stretched to, or the choices that they are.
        observation_space: the names, shapes and types of observations that are dicts; None for vectors.
    """

    params: PyTree
    observations: RunningStats | None
    network: ActorCritic = struct.field(pytree_node=False)
    action_space: ActionSpace = struct.field(pytree_node=False)
    observation_space: Dict | None = struct.field(pytree_node=False, default=None)

    def distribution(self, observation: Observation) -> ActionDistribution | Categorical:
        """The distribution of raw actions at observations, `[...]`."""
        return action_distribution(self.network, self.params, self._seen(observation))

    def value(self, observation: Observation) -> jax.Array:
        """The critic's guess, in units of scaled reward, `[...]`."""
        return state_value(self.network, self.params, self._seen(observation))

    def action(self, observation: Observation, rng: jax.Array | None = None) -> jax.Array:
        """The action at observations, in the task's units, or the number of a choice; a random one if given a key."""
        actions = self.distribution(observation)
        raw = actions.mode() if rng is None else actions.sample(rng)
        return self.action_space.from_unit(actions.unit(raw))

    def _seen(self, observation: Observation) -> jax.Array:
        """What the networks see, `[..., obs_dim]`."""
        space = self.observation_space
        flat = jnp.asarray(observation, jnp.float32) if space is None else space.flatten(observation)
        return flat if self.observations is None else self.observations.normalize(flat)

    @property
    def observation_size(self) -> int:
        """Numbers in an observation."""
        return self.params["params"]["actor"]["Dense_0"]["kernel"].shape[0]

    def controller(self, environment: Environment, *, deterministic: bool = True) -> Controller:
        """The supervisor's step under this policy, `step_state -> (step_state, output)`, for any executor.

        Raises:
            RexError: for a task whose observations or actions are of another size or kind.
        """
        seen, acted = environment.observation_space, environment.action_space
        known = self.observation_space or Box.unbounded(self.observation_size)
        pairs: tuple[tuple[str, Any, Any, bool], ...] = (
            ("observations", seen, known, seen == known or (isinstance(seen, Box) and isinstance(known, Box))),
            ("actions", acted, self.action_space, acted.categories == self.action_space.categories),
        )
        for what, offered, trained, alike in pairs:
            if offered.size != trained.size or not alike:
                raise RexError(
                    f"{what} of {type(environment).__name__} are {offered}, but the policy was trained with {trained}; "
                    "give it the system and the task that it was trained on"
                )

        def control(step_state: StepState) -> tuple[StepState, PyTree]:
            rng = None if deterministic else jax.random.fold_in(step_state.rng, step_state.seq)
            return environment.act(step_state, self.action(environment.observe(step_state), rng))

        return control

    def save(self, folder: Path, recipe: Mapping[str, Any] | None = None) -> None:
        """Writes the policy to a folder, whole or not at all.

        Args:
            folder: is made, or replaced.
            recipe: how observations come about: the `env` section of the experiment.
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
            "env": dict(recipe or {}),
        }
        with atomic_folder(folder) as temporary:
            (temporary / EXPORTED).write_bytes(self.exported())
            np.savez(temporary / "weights.npz", **arrays)
            (temporary / "policy.json").write_bytes(encode_json(about))

    def exported(self) -> bytes:
        """The policy as one function from observation to action, in `jax.export`'s form.

        It takes a float32 vector `[obs_dim]`, or a dict with the shapes and types of the observation space, and gives
        float32 `[action_dim]`, or int32 where actions are choices.

        A robot needs JAX alone: `jax.export.deserialize(bytearray(data)).call(observation)`.
        """
        observation = jax.ShapeDtypeStruct((self.observation_size,), jnp.float32)
        if self.observation_space is not None:
            observation = self.observation_space.example
        exporting = jax.export.export(jax.jit(self.action), platforms=("cpu", "cuda", "tpu"))
        return bytes(exporting(observation).serialize())

    @classmethod
    def load(cls, folder: Path) -> Policy:
        """Reads what `save` wrote.

        Raises:
            RexError: where there is no policy, or one that is damaged or newer than this program.
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
            policy = cls(traverse_util.unflatten_dict(weights), stats, network, space, seen)
            policy._check()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RexError) as error:
            raise RexError(f"{folder}: the policy is damaged: {type(error).__name__} {error}") from None
        return policy

    def _check(self) -> None:
        """Refuses weights that do not fit their network, so that nothing is left to fail when the policy acts.

        Raises:
            One of what `load` makes an error of its own.
        """
        size = self.observation_size
        if size > MOST_NUMBERS or self.network.units > MOST_NUMBERS or self.network.layers > MOST_LAYERS:
            raise ValueError(f"a network of {self.network.layers} layers of {self.network.units} for {size} numbers")
        want = jax.eval_shape(self.network.init, jax.random.key(0), jax.ShapeDtypeStruct((size,), jnp.float32))
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
_NETWORK_FIELDS = ("action_size", "layers", "units", "activation", "kernel_init", "state_independent_std", "squash")
