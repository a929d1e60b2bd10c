"""Which level of optimisation large programs are compiled with."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from rexcli.compiler import backend


def test_the_level_is_one_that_xla_takes_unless_the_user_chose_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    options = backend.compiler_options()
    assert options
    assert jax.jit(jnp.sin).lower(1.0).compile(options)(1.0) == pytest.approx(0.84147, abs=1e-5)
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=3")
    assert backend.compiler_options() == {}
