"""Benchmarks, fuzzers and soaks, most of which no test runs, find what they import."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = [
    f"tests.{folder}.{path.stem}"
    for folder in ("benchmarks", "fuzz", "soak")
    for path in sorted((HERE / folder).glob("*.py"))
    if not path.stem.startswith(("peer_", "test_", "__"))  # peers run in an environment of their own
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_finds_what_it_imports(script):
    importlib.import_module(script)
