"""Packages offer their names without importing the modules that define them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import rexcli
from rexcli.lazy import attach

NODES = sorted(path.parent.name for path in (Path(__file__).parents[1] / "nodes").glob("*/__init__.py"))


def test_a_name_is_imported_from_its_module_and_others_are_none() -> None:
    find, names = attach("json", {"decoder": ["JSONDecoder"], "encoder": ["JSONEncoder", "encode_basestring"]})
    assert names == ["JSONDecoder", "JSONEncoder", "encode_basestring"]
    assert find("JSONDecoder") is importlib.import_module("json.decoder").JSONDecoder
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'loads'"):
        find("loads")


@pytest.mark.parametrize("package", ["rexcli", "rexcli.plot", *(f"nodes.{name}" for name in NODES)])
def test_every_name_that_a_package_offers_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name).__name__.rpartition(".")[2] == name
    assert not hasattr(module, "Nothing")


def test_jax_is_not_imported_before_it_is_used() -> None:
    modules = ["rexcli", "rexcli.plot", "nodes.pendulum.picture", *(f"nodes.{name}" for name in NODES)]
    code = f"import sys, {', '.join(modules)}; sys.exit('jax' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(rexcli.__file__).parents[1], check=False).returncode == 0
    )
