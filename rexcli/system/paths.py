"""Names the leaves of a pytree: `state.th` is `th`, the kernel of layer 0 is `layers.0.kernel`."""

from __future__ import annotations

from typing import Any

import jax


def leaf_paths(tree: Any) -> dict[str, Any]:
    """Returns the leaves by key path, with dots between the keys; a bare array has the path `""`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
