"""Describes where a run comes from: versions, git revision, and the process that makes it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = ("rexcli", "jax", "jaxlib", "flax", "optax", "distrax", "numpy", "mujoco", "mujoco-mjx")


def versions() -> dict[str, str | None]:
    """Returns the versions of Python and libraries without importing them; None for one that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def git_revision(project: Path) -> dict[str, Any] | None:
    """Returns `{"revision": hash, "dirty": do files differ from it}`; None outside of a repository or without git."""
    import subprocess

    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(project), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, env=environment)
        return done.stdout.strip()

    try:
        return {"revision": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def this_process() -> dict[str, Any]:
    """Identifies this process by its id and the time when it started, since ids are reused."""
    return {"pid": os.getpid(), "started": _started(os.getpid())}


def is_alive(process: Any) -> bool:
    """Returns whether the process that `this_process` described still runs on this machine."""
    if not isinstance(process, dict) or not isinstance(process.get("pid"), int) or process["pid"] <= 0:
        return False
    if Path("/proc/self/stat").exists():
        return _started(process["pid"]) is not None and _started(process["pid"]) == process.get("started")
    try:
        os.kill(process["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> int | None:
    """Returns when process `pid` started, in clock ticks since boot; None for one that is gone, or without /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(rest[18])
