"""Provides pytest fixtures: `pytest_plugins = ["rexcli.testing.fixtures"]` in a `conftest.py`."""

from __future__ import annotations

import pytest

from rexcli import testing
from rexcli.system.system import System


@pytest.fixture
def tiny_system() -> System:
    """Returns a world and an agent in a loop, see `rexcli.testing.tiny_system`."""
    return testing.tiny_system()
