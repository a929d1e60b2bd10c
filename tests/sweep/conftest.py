"""The toy project of the config tests."""

import pytest

from tests.config.conftest import toy

__all__ = ["toy"]


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture takes as long as a job; one test looks at it."""
    if request.node.name != "test_a_sweep_is_drawn":
        monkeypatch.setattr("rexcli.plot.draw_run", lambda *_: [])
