"""The program agrees with the stepper on the third group of random systems."""

from __future__ import annotations

import pytest

from tests.compiler.program_law import agree_on_many


@pytest.mark.slow
def test_program_agrees_with_stepper_on_many_systems():
    agree_on_many(3)
