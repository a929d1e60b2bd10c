"""What makes tests quick: what the default ones compile is hardly optimised, and garbage is looked for less often."""

from __future__ import annotations

import gc
import os
from importlib.metadata import version

import pytest
from packaging.version import Version

FEW_OPTIMISATIONS = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
"""XLA compiles in half the time or less. The slow tests do without these, so that what users run is tested too."""
if Version(version("jaxlib")) < Version("0.11"):  # later ones end where a flag is none of theirs, and 0.12 has not this
    FEW_OPTIMISATIONS.append("--xla_cpu_use_fusion_emitters=false")


def pytest_configure(config: pytest.Config) -> None:
    """Before anything imports JAX; processes that tests start inherit it."""
    if "not slow" in config.option.markexpr:
        os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *FEW_OPTIMISATIONS]).strip()


def pytest_collection_finish() -> None:
    """All that was imported stays, so that nobody need look through it time and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def pytest_runtest_setup() -> None:
    """The wall clock lets go of it again, and would then look through all of it before each of its runs."""
    if not gc.get_freeze_count():
        gc.freeze()
