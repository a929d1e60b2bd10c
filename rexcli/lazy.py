"""Imports what a package offers when it is first used, so that nobody waits for what they do not use (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def attach(package: str, names: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], list[str]]:
    """Returns the `__getattr__` and the `__all__` of a package.

    Args:
        package: the package's `__name__`.
        names: the names that each of its modules offers, by module, relative to the package.
    """
    homes = {name: f"{package}.{module}" for module, defined in names.items() for name in defined}

    def find(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return find, sorted(homes)
