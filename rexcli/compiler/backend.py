"""Sets up JAX: one CPU device per core, and a cache of compiled programs that later processes use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jax

from rexcli.errors import RexError
from rexcli.machine import cores

LEVEL = "xla_backend_optimization_level"

if TYPE_CHECKING:
    from rexcli.compiler.slots import Skip


def prepare(devices: int | Literal["auto"] = "auto") -> None:
    """Sets JAX up for a command; must be called before anything is computed.

    On a machine without an accelerator every core becomes a device, so that batches and seeds can be spread over them;
    JAX_NUM_CPU_DEVICES and XLA_FLAGS take precedence. Compiled programs are stored in the user's cache folder, to which
    only the user may write, since its content is executed; `JAX_COMPILATION_CACHE_DIR` names another folder.

    Args:
        devices: number of CPU devices; `auto` for one per core.
    """
    if not _devices_are_set():
        with contextlib.suppress(
            RuntimeError
        ):  # JAX has been initialised, for example in a notebook: its devices cannot be changed
            jax.config.update("jax_num_cpu_devices", cores() if devices == "auto" else devices)
    if jax.config.values.get("jax_compilation_cache_dir") is None:
        folder = cache_folder()
        if folder is not None:
            jax.config.update("jax_compilation_cache_dir", str(folder))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.01)


def choose_devices(devices: int | Literal["auto"]) -> list[jax.Device]:
    """Returns the devices of this process that share a batch.

    Raises:
        RexError: if there are not as many devices.
    """
    available = jax.local_devices()
    if devices == "auto":
        return available
    if devices > len(available):
        raise RexError(f"compile.devices={devices}: this machine offers {len(available)}; give that many or 'auto'")
    return available[:devices]


def choose_skip(skip: Literal["auto", "cond", "mask"]) -> Skip:
    """Returns how slots are skipped: a branch that is not taken costs nothing on a CPU, but may stall an accelerator.

    Measured on a CPU with 10,000 pendulums (`tests/benchmarks/bench_rollouts.py`), `cond` is 1.6 to 1.8 times as fast
    as `mask` with one episode of which 99 percent of the slots run, 1.9 to 2.2 times with 16 episodes. On an
    accelerator nothing was measured; `mask` is chosen there because it never waits for the host.
    """
    if skip == "auto":
        return "cond" if jax.default_backend() == "cpu" else "mask"
    return skip


def compiler_options() -> dict[str, str | bool]:
    """Returns options of XLA for large programs on a CPU: optimisation level 1, unless XLA_FLAGS set the level.

    Measured with the trainings of four systems, compilation takes a fifth less CPU time than with XLA's default level
    3, and programs are as fast to 15 percent faster, since XLA vectorises loops at level 1 already. Level 0 makes them
    four times as slow. Rollouts, which spend less of their time on networks, are up to a tenth slower, and keep level
    3.
    """
    if jax.default_backend() != "cpu" or LEVEL in os.environ.get("XLA_FLAGS", ""):
        return {}
    return {LEVEL: "1"}


def cache_folder() -> Path | None:
    """Returns `~/.cache/rexcli/jax`, created for its owner alone; None if that is not possible."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "rexcli" / "jax"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except (OSError, RuntimeError):
        return None
    return folder


def _devices_are_set() -> bool:
    given = os.environ.get("XLA_FLAGS", "")
    return "JAX_NUM_CPU_DEVICES" in os.environ or "xla_force_host_platform_device_count" in given
