"""Checks that a step returns the structure, shapes and types that init gave, in the same way for every executor.

A leaf of another type is cast if no value is lost, so that a state has its declared type at every tick; otherwise an
error is raised:

- types of JAX and NumPy, as JAX reads them (64 bits as 32, unless configured otherwise), are cast if the declared type
  holds each of their values, as float32 does for float16 and int16, and int32 for bool;
- numbers of Python, and results that JAX computed only from them (weak types), have no width: they are cast if the
  declared type is of the same or a later kind of bool, integer, float, complex;
- integers whose values are known when they are checked, and do not fit, raise an error nevertheless.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError
from rexcli.system.infer_outputs import as_output, is_nothing
from rexcli.system.states import StepState

PyTree = Any

_KINDS = (np.bool_, np.integer, np.floating, np.complexfloating)


def is_key(leaf: Any) -> bool:
    """Returns whether a leaf is an array of JAX's typed PRNG keys, or the shape and type of one."""
    dtype = getattr(leaf, "dtype", None)
    return not isinstance(dtype, np.dtype | None) and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def as_declared(tree: PyTree) -> PyTree:
    """Returns what init gave as JAX arrays with definite types: the weak types of Python's numbers are resolved."""
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else jnp.asarray(leaf, jnp.result_type(leaf)), tree)


def conform(node: str, part: str, want: PyTree, got: PyTree, *, as_numpy: bool = False) -> PyTree:
    """Returns what a step returned, with the types of what init gave.

    Args:
        node: the node of the step.
        part: `rng`, `params`, `state` or `output`.
        want: what init gave; only its shapes and types are used.
        got: what step returned.
        as_numpy: keep NumPy arrays of the declared type, and convert other leaves that are not JAX arrays to NumPy
            arrays.

    Returns:
        `got` with leaves of `want`'s types. They are JAX arrays with their own memory, unless `as_numpy`.

    Raises:
        RexError: if the structure or a shape differs, or a type cannot be cast without loss.
    """
    flat: tuple[tuple[list[Any], Any], tuple[list[Any], Any]] = jax.tree.flatten(want), jax.tree.flatten(got)
    (wanted, declared), (leaves, structure) = flat
    if structure != declared:
        if part == "output" and is_nothing(want):
            raise RexError(
                f"node '{node}': output: step returns {structure}, but no init_output says so; write an "
                "init_output(rng, graph_state) that returns the same: it is what readers see before the first message"
            )
        raise RexError(
            f"node '{node}': {part}: step returns {structure}, but init gave {declared}; return the same structure"
        )
    cast = [
        _leaf(partial(_where, node, part, want, place), a, b, as_numpy)
        for place, (a, b) in enumerate(zip(wanted, leaves, strict=True))
    ]
    return jax.tree.unflatten(declared, cast)


def conform_step(
    node: str, before: Any, sends: PyTree, returned: Any, *, as_numpy: bool = False
) -> tuple[StepState, PyTree]:
    """Returns the result of a step, conformed to what its node began with, see `conform`.

    Args:
        node: the node of the step.
        before: has the node's `rng`, `params` and `state`, and the `memory` of the controller that replaces its step.
        sends: the node's `init_output`.
        returned: the result of the step, or of the controller.
        as_numpy: as for `conform`.

    Returns:
        The step state and the output.

    Raises:
        RexError: as for `conform`, and if the result is not a step state with an output.
    """
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], StepState)):
        raise RexError(f"node '{node}': step returns {type(returned).__name__}; return step_state, output")
    after, output = returned[0], as_output(returned[1])
    kept = {
        part: conform(node, part, getattr(before, part), getattr(after, part), as_numpy=as_numpy)
        for part in ("rng", "params", "state", *(["memory"] if before.memory else []))
    }
    return after.replace(**kept), conform(node, "output", sends, output, as_numpy=as_numpy)


class StepTypes:
    """The types that every step of one node returns, computed once, for an executor that calls it a thousand times a
    second.

    Args:
        node, before, sends: as for `conform_step`.
    """

    def __init__(self, node: str, before: Any, sends: PyTree):
        self._declared = node, before, sends
        flat: tuple[list[Any], Any] = jax.tree.flatten((before.rng, before.params, before.state, before.memory, sends))
        leaves, self._structure = flat
        self._types = [(_declared(leaf), jnp.shape(leaf)) for leaf in leaves]

    def conform(self, returned: Any) -> tuple[StepState, PyTree]:
        """Does the same as `conform_step` with `as_numpy`, which it only calls if some leaf has not its declared type
        already.
        """
        if type(returned) is tuple and len(returned) == 2 and isinstance(returned[0], StepState):
            after, output = returned[0], as_output(returned[1])
            leaves, structure = jax.tree.flatten((after.rng, after.params, after.state, after.memory, output))
            if structure == self._structure:
                arrays = [_as_array(leaf, *declared) for leaf, declared in zip(leaves, self._types, strict=True)]
                if not any(array is None for array in arrays):
                    rng, params, state, memory, output = jax.tree.unflatten(structure, arrays)
                    return after.replace(rng=rng, params=params, state=state, memory=memory), output
        return conform_step(*self._declared, returned, as_numpy=True)


def _where(node: str, part: str, want: PyTree, place: int) -> str:
    path = jax.tree_util.keystr(jax.tree_util.tree_flatten_with_path(want)[0][place][0])
    return f"node '{node}': {part}{path}"


def _declared(leaf: Any) -> Any:
    return leaf.dtype if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct) else jnp.result_type(leaf)


def _leaf(where: Callable[[], str], want: Any, got: Any, as_numpy: bool) -> Any:
    dtype = _declared(want)
    if _is_so(got, dtype, jnp.shape(want), as_numpy):
        return got
    try:
        kind, weak = jax.dtypes.result_type(got, return_weak_type_flag=True)
    except TypeError:
        raise RexError(f"{where()}: step returns a {type(got).__name__}; return an array of {dtype}") from None
    if jnp.shape(want) != jnp.shape(got):
        raise RexError(
            f"{where()}: step returns shape {jnp.shape(got)}, but init gave {jnp.shape(want)}; return the same shape"
        )
    if kind != dtype:
        _check_cast(where, dtype, kind, weak, jnp.shape(want))
    if isinstance(got, jax.Array):
        return got if kind == dtype and not weak else got.astype(dtype)
    _check_fits(where, dtype, got)
    if as_numpy:
        return np.asarray(got, dtype)
    return jnp.array(got, dtype)  # a copy, since a node may write into its array again


def _as_array(got: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    """Returns a leaf that may stay as it is, or a simple scalar as an array; None if a closer look is needed."""
    if _is_so(got, dtype, shape, True):
        return got
    if shape != ():
        return None
    same = isinstance(got, np.generic) and got.dtype == dtype
    small = type(got) is int and abs(got) < 2**24 and dtype in (np.float32, np.int32)
    if same or small or (isinstance(got, float) and dtype == np.float32):
        return np.asarray(got, dtype)
    return None


def _is_so(got: Any, dtype: Any, shape: tuple[int, ...], as_numpy: bool) -> bool:
    """Returns whether a leaf is already an array of the declared type, which takes long to find out with JAX."""
    if type(got) is np.ndarray:
        return as_numpy and got.dtype == dtype and got.shape == shape
    if isinstance(got, jax.Array):
        return got.dtype == dtype and got.shape == shape and not getattr(got, "weak_type", False)
    return False


def _check_cast(where: Callable[[], str], want: Any, got: Any, weak: bool, shape: tuple[int, ...]) -> None:
    """Raises an error for a cast that may lose values."""
    if not any(jnp.issubdtype(dtype, jax.dtypes.extended) for dtype in (want, got)):
        if (_kind(got) <= _kind(want)) if weak else _holds(want, got):
            return
        raise RexError(
            f"{where()}: step returns {got}{' (weakly typed)' if weak else ''}, but init gave {want}, which does not "
            f"hold all its values; begin with jnp.zeros({shape}, jnp.{got}), or cast in step, .astype(jnp.{want})"
        )
    raise RexError(f"{where()}: step returns {got}, but init gave {want}; return the same type")


def _check_fits(where: Callable[[], str], want: Any, leaf: Any) -> None:
    """Raises an error for integers of Python and NumPy beyond the declared type, which JAX would wrap around."""
    if jnp.issubdtype(want, jnp.integer):
        values = np.asarray(leaf)
        info = jnp.iinfo(want)
        if values.size and values.dtype != want and (values.min() < info.min or values.max() > info.max):
            worst = values.min() if values.min() < info.min else values.max()
            raise RexError(
                f"{where()}: step returns {worst}, but init gave {want}, which holds {info.min} to {info.max}; "
                "begin with a wider type, or clip it in step"
            )


def _kind(dtype: Any) -> int:
    return next(place for place, kind in enumerate(_KINDS) if jnp.issubdtype(dtype, kind))


def _holds(want: Any, got: Any) -> bool:
    """Returns whether every value of type `got` is one of type `want`."""
    if _kind(got) > _kind(want):
        return False
    if got == jnp.bool_:
        return True
    if _kind(want) == 1:
        small, large = jnp.iinfo(got), jnp.iinfo(want)
        return bool(large.min <= small.min and small.max <= large.max)
    fine = jnp.finfo(want)
    if _kind(got) == 1:
        info = jnp.iinfo(got)
        return bool(info.bits - (info.min < 0) <= fine.nmant + 1)
    coarse = jnp.finfo(got)
    return bool(coarse.nmant <= fine.nmant and coarse.maxexp <= fine.maxexp and fine.minexp <= coarse.minexp)
