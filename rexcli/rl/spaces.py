"""Defines the spaces of actions and observations.

Each has a `size`, the length of its vectors. Networks see an observation after `flatten`; samples of their distribution
become actions by `from_unit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError

PyTree = Any


@dataclass(frozen=True)
class Box:
    """Real vectors between bounds.

    Attributes:
        low, high: one bound per dimension, in the task's own units; infinite where there is none.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __init__(self, low: Sequence[float] | Any, high: Sequence[float] | Any):
        object.__setattr__(self, "low", tuple(float(bound) for bound in np.ravel(low)))
        object.__setattr__(self, "high", tuple(float(bound) for bound in np.ravel(high)))
        if len(self.low) != len(self.high):
            raise RexError(f"Box: {len(self.low)} lower and {len(self.high)} upper bounds; give as many of each")
        for low_bound, high_bound in zip(self.low, self.high, strict=True):
            if not low_bound < high_bound:
                raise RexError(f"Box: low {low_bound:g} is not below high {high_bound:g}")

    @classmethod
    def unbounded(cls, size: int) -> Box:
        """Returns the space of all vectors of `size` numbers."""
        return cls((-np.inf,) * size, (np.inf,) * size)

    def __str__(self) -> str:
        return f"{self.size} real numbers"

    @property
    def size(self) -> int:
        """The length of a vector."""
        return len(self.low)

    @property
    def categories(self) -> tuple[int, ...]:
        """Empty, since the numbers are continuous."""
        return ()

    @property
    def bounded(self) -> bool:
        """Whether every dimension has both bounds."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    def flatten(self, observation: Any) -> jax.Array:
        """Returns the observation `[..., size]` itself, float32."""
        return jnp.asarray(observation, jnp.float32)

    def from_unit(self, unit: jax.Array) -> jax.Array:
        """Returns a vector `[..., size]` clipped to ±1 and scaled to the bounds; unchanged if there are none."""
        if not self.bounded:
            return unit
        low, high = jnp.asarray(self.low, jnp.float32), jnp.asarray(self.high, jnp.float32)
        return low + (jnp.clip(unit, -1.0, 1.0) + 1) / 2 * (high - low)

    def sample(self, rng: jax.Array) -> jax.Array:
        """Draws a random vector `[size]`: uniform within bounds, standard normal without bounds."""
        if not self.bounded:
            return jax.random.normal(rng, (self.size,))
        return self.from_unit(jax.random.uniform(rng, (self.size,), minval=-1.0))


@dataclass(frozen=True)
class MultiDiscrete:
    """Vectors of discrete choices, int32 `[size]`.

    Attributes:
        categories: the number of options of each choice; options are numbered from 0.
    """

    categories: tuple[int, ...]

    def __init__(self, categories: Sequence[int] | Any):
        given = [_count(type(self).__name__, number) for number in np.ravel(np.asarray(categories, object))]
        if not given:
            raise RexError(f"{type(self).__name__}: no choice; give one number of categories or more")
        object.__setattr__(self, "categories", tuple(given))

    def __str__(self) -> str:
        return f"MultiDiscrete({list(self.categories)})"

    @property
    def size(self) -> int:
        """The number of choices."""
        return len(self.categories)

    @property
    def bounded(self) -> bool:
        """True, since there is a first and a last option."""
        return True

    def from_unit(self, unit: jax.Array) -> jax.Array:
        """Returns the choices `[..., size]` themselves, without scaling."""
        return unit

    def sample(self, rng: jax.Array) -> jax.Array:
        """Draws random choices, all equally likely."""
        return self.from_unit(jax.random.randint(rng, (self.size,), 0, jnp.array(self.categories)))


@dataclass(frozen=True)
class Discrete(MultiDiscrete):
    """One discrete choice, an int32 scalar.

    Args:
        n: the number of options, which are numbered from 0.
    """

    def __init__(self, n: int):
        super().__init__([n])

    def __str__(self) -> str:
        return f"Discrete({self.n})"

    @property
    def n(self) -> int:
        """The number of options."""
        return self.categories[0]

    def from_unit(self, unit: jax.Array) -> jax.Array:
        """Returns the single choice of `[..., 1]`, `[...]`."""
        return unit[..., 0]


ActionSpace = Box | MultiDiscrete


@dataclass(frozen=True)
class Entry:
    """An array in a dict.

    Attributes:
        path: its key, or its keys if dicts are nested.
        shape: the shape of the array.
        dtype: the NumPy name of its type.
    """

    path: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of_json(cls, about: Mapping[str, Any]) -> Entry:
        """Restores the entry from `dataclasses.asdict`, after encoding as JSON. Raises KeyError or TypeError for
        anything else.
        """
        return cls(tuple(about["path"]), tuple(about["shape"]), str(about["dtype"]))

    @property
    def size(self) -> int:
        """The number of elements of the array."""
        return int(np.prod(self.shape, dtype=int))

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.dtype}{list(self.shape)}"


@dataclass(frozen=True)
class Dict:
    """Dicts of arrays, nested or not.

    Attributes:
        entries: the arrays in the order of the flat vector, by sorted keys.
    """

    entries: tuple[Entry, ...]

    @classmethod
    def like(cls, observation: Mapping[str, PyTree]) -> Dict:
        """Returns the space of all dicts with the keys, shapes and types of `observation`.

        Raises:
            RexError: for anything but arrays of numbers with strings as keys.
        """
        entries = []
        for path, leaf in jax.tree_util.tree_flatten_with_path(observation)[0]:
            if not all(isinstance(key, jax.tree_util.DictKey) and isinstance(key.key, str) for key in path):
                raise RexError(f"{jax.tree_util.keystr(path)} is not in a dict with text for keys; give nothing else")
            if not any(jnp.issubdtype(leaf.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
                raise RexError(f"{jax.tree_util.keystr(path)} is {leaf.dtype}; give real numbers or bool")
            entries.append(Entry(tuple(key.key for key in path), tuple(leaf.shape), leaf.dtype.name))
        if not sum(entry.size for entry in entries):
            raise RexError("there is no number in it; give at least one")
        return cls(tuple(entries))

    def __str__(self) -> str:
        return f"{{{', '.join(str(entry) for entry in self.entries)}}}"

    @property
    def size(self) -> int:
        """The number of elements of all arrays."""
        return sum(entry.size for entry in self.entries)

    def flatten(self, observation: Mapping[str, PyTree]) -> jax.Array:
        """Returns all numbers of a dict in the order of `entries`, each array row by row, float32 `[..., size]`.

        Raises:
            RexError: for a dict with other keys or shapes; leading dimensions `[...]` of all arrays are kept.
        """
        leaves = jax.tree_util.tree_flatten_with_path(observation)[0]
        found = {tuple(getattr(key, "key", None) for key in path): jnp.asarray(leaf) for path, leaf in leaves}
        if set(found) != {entry.path for entry in self.entries}:
            names = ", ".join(".".join(map(str, path)) for path in found)
            raise RexError(f"an observation has {names or 'no keys'}; give {self}")
        flat = []
        for entry in self.entries:
            leaf = found[entry.path]
            batch = leaf.shape[: max(0, leaf.ndim - len(entry.shape))]
            if leaf.shape != (*batch, *entry.shape):
                raise RexError(f"an observation's {'.'.join(entry.path)} has shape {leaf.shape}; give {entry}")
            flat.append(leaf.astype(jnp.float32).reshape(*batch, entry.size))
        return jnp.concatenate(flat, axis=-1)

    @property
    def example(self) -> PyTree:
        """Returns the dict, with the shape and type of each array."""
        nested: dict[str, Any] = {}
        for entry in self.entries:
            inner = nested
            for key in entry.path[:-1]:
                inner = inner.setdefault(key, {})
            inner[entry.path[-1]] = jax.ShapeDtypeStruct(entry.shape, np.dtype(entry.dtype))
        return nested


ObservationSpace = Box | Dict


def action_space_as_json(space: ActionSpace) -> dict[str, Any]:
    """Returns an action space as JSON, which `action_space_of_json` reads."""
    if isinstance(space, Box):
        return {"low": space.low, "high": space.high}
    return {"n": space.n} if isinstance(space, Discrete) else {"categories": space.categories}


def action_space_of_json(about: Mapping[str, Any]) -> ActionSpace:
    """Returns the action space that `action_space_as_json` wrote. Raises KeyError, TypeError or RexError for anything
    else.
    """
    if "n" in about:
        return Discrete(about["n"])
    return MultiDiscrete(about["categories"]) if "categories" in about else Box(about["low"], about["high"])


def _count(name: str, number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
        raise RexError(f"{name}: {number} categories; give a whole number, 1 or more")
    return int(number)
