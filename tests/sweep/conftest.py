"""The toy project of the config tests."""

from tests.config.conftest import toy

__all__ = ["toy"]
