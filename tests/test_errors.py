"""Errors go from process to process as they are."""

from __future__ import annotations

import copy

import pytest

from rexcli.errors import DeclarationError


@pytest.mark.parametrize(
    "error", [DeclarationError("edges.a.window", 0, "give 1 or more"), DeclarationError(("a", "b"), message="a loop")]
)
def test_a_declaration_error_is_the_same_in_another_process(error: DeclarationError) -> None:
    again = copy.copy(error)
    assert (str(again), again.keys) == (str(error), error.keys)
