"""Implements `rex doctor`: checks what this machine offers to rex, and says what to do about what it lacks."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rexcli.config.project import find_project
from rexcli.config.schema import WallSettings
from rexcli.errors import RexError
from rexcli.machine import cores
from rexcli.runs.result import Result, Table

NAPS, NAP = 200, 1e-3
"""The number of sleeps that are measured, and the length of each, s."""
LATE = 1e-3
"""Seconds by which one sleep in a hundred may be late without a warning."""
WRITTEN = 32 * 2**20
"""Bytes that are written to measure the disk's speed."""
SLOW_DISK, FULL_DISK = 30e6, 2e9
"""Bytes per second, and free bytes, below which a disk gets a warning; recording a camera takes as much."""
SETTINGS = ("JAX_PLATFORMS", "XLA_FLAGS", "JAX_ENABLE_X64")
"""Environment variables that change what JAX does."""
NVIDIA = "/proc/driver/nvidia/version"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        what: the name of the check.
        found: what was found.
        fix: what to do about it; None if all is well.
    """

    what: str
    found: str
    fix: str | None = None


def examine() -> Result:
    """Returns a table of all checks, with a warning for each finding that could be better."""
    findings = list(_findings())
    rows = [(each.what, each.found, "ok" if each.fix is None else "see below") for each in findings]
    warnings = [f"{each.what}: {each.found}; {each.fix}" for each in findings if each.fix is not None]
    extras = _extras()
    return Result(
        tables=[
            Table("this machine", ("what", "found", "verdict"), rows),
            Table("extras", ("extra", "for", "missing", "install with"), extras),
        ],
        warnings=warnings,
    )


def _findings() -> Iterator[Finding]:
    """Yields the finding of each check; a check that fails is reported and does not stop the others."""
    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        _project,
        _jax,
        _devices,
        _cores,
        _memory,
        _clock,
        _sleep,
        _priority,
        _disk,
    )
    for check in checks:
        try:
            yield check()
        except Exception as error:  # a doctor has to report broken installations
            what = check.__name__.lstrip("_")
            yield Finding(what, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", "mend what it says")


def _python() -> Finding:
    version = platform.python_version()
    return Finding("python", f"{version} on {platform.system()} {platform.machine()}, {sys.executable}")


def _project() -> Finding:
    project = find_project()
    if project.own:
        return Finding("project", f"{project.root}")
    return Finding("project", "none here, the bundled examples are taken", "rex init DIR makes one of your own")


def _jax() -> Finding:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("rexcli", "jax", "jaxlib", "flax"))
    given = [
        f"{key}={os.environ[key]}" for key in ("JAX_PLATFORMS", "XLA_FLAGS", "JAX_ENABLE_X64") if key in os.environ
    ]
    return Finding("versions", "; ".join([versions, *given]))


def _devices() -> Finding:
    import jax

    devices = jax.devices()
    found = f"{len(devices)} x {devices[0].device_kind} ({jax.default_backend()})"
    if jax.default_backend() == "cpu" and Path(NVIDIA).exists():
        return Finding(
            "devices", found, "this machine has an NVIDIA GPU that JAX does not use: pip install 'jax[cuda12]'"
        )
    return Finding("devices", found)


def _cores() -> Finding:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    found = f"{cores()}, load {load:.1f}"
    fix = (
        "other programs are busy, so times measured now, and steps on the wall clock, are not those of an idle machine"
    )
    return Finding("cores", found, fix if load > cores() + 0.5 else None)


def _memory() -> Finding:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        total, free = (int(lines[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError):
        return Finding("memory", "not told by this system")
    few = free < 2 * 2**30
    fix = "training a few seeds takes 1 to 2 GiB; end what takes the rest, or give fewer ppo.num_seeds" if few else None
    return Finding("memory", f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free", fix)


def _clock() -> Finding:
    smallest, until = 1 << 62, time.monotonic_ns() + 20_000_000
    last = time.monotonic_ns()
    while last < until:
        new = time.monotonic_ns()
        if new > last:
            smallest = min(smallest, new - last)
        last = new
    coarse = smallest > 100_000
    fix = "steps on the wall clock cannot be more punctual than that; run on Linux on the machine itself"
    return Finding("clock", f"tells {smallest} ns apart", fix if coarse else None)


def _sleep() -> Finding:
    late = []
    for _ in range(NAPS):
        began = time.monotonic()
        time.sleep(NAP)
        late.append(time.monotonic() - began - NAP)
    late.sort()
    p50, p99, most = (late[min(len(late) - 1, int(share * len(late)))] * 1e3 for share in (0.5, 0.99, 1.0))
    fix = "this machine is busy or saves power: on a robot, let less run beside rex and set the governor `performance`"
    found = f"{NAP * 1e3:g} ms are {p50:.2g} ms too long in the median, {p99:.2g} ms (p99), {most:.2g} ms at most"
    return Finding("sleep", found, fix if p99 > LATE * 1e3 else None)


def _priority() -> Finding:
    from rexcli.runtime.wall.realtime import why_no_priority

    priority = WallSettings().priority
    if sys.platform != "linux":
        return Finding("real-time priority", "Linux alone has it", "run robots on Linux")
    missing = why_no_priority(priority)
    if missing is None:
        return Finding("real-time priority", f"granted ({priority})")
    return Finding("real-time priority", "not granted", missing.rpartition("; ")[2])


def _disk() -> Finding:
    outputs = find_project().outputs
    folder = next(path for path in (outputs, *outputs.parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            data = os.urandom(2**20)
            began = time.monotonic()
            for _ in range(WRITTEN // len(data)):
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
            speed = WRITTEN / (time.monotonic() - began)
    except OSError as error:
        return Finding("disk", f"{folder}: {error.strerror}", "run where outputs/ can be written")
    found = f"{speed / 1e6:.0f} MB/s, {free / 1e9:.0f} GB free in {folder}"
    if free < FULL_DISK:
        return Finding("disk", found, "make room: runs are kept whole")
    slow = "cameras' recordings may come faster; record fewer fields (nodes.NAME.record), or onto another disk"
    return Finding("disk", found, slow if speed < SLOW_DISK else None)


PURPOSES = {
    "joblib": "sweeps, a process a core (launcher=joblib)",
    "slurm": "sweeps on SLURM (launcher=slurm)",
    "ray": "sweeps on Ray (launcher=ray)",
    "optuna": "sweeps that search (sweeper=optuna)",
    "cma": "identify/optimizer=cma",
    "mujoco": "rexcli.worlds.Mujoco, conf=arm; the plants of conf=pendulum_real and pendulum_hard",
    "import": "rex import; rex export --to rosbag2, parquet, lerobot",
    "gym": "rexcli.gym",
    "gymnax": "rexcli.gymnax",
    "tensorboard": "loggers=tensorboard",
    "wandb": "loggers=wandb, Weights & Biases",
    "docs": "the documentation's pages",
    "test": "the tests of rexcli itself",
}


def _extras() -> list[tuple[str, str, str, str]]:
    """Returns a row for each extra: what it is for, what is missing, and how to install it."""
    from packaging.requirements import Requirement

    try:
        own = metadata.metadata("rexcli")
        required = [Requirement(text) for text in metadata.requires("rexcli") or []]
    except metadata.PackageNotFoundError:
        raise RexError("rexcli is not installed, only imported; pip install rexcli") from None
    rows = []
    for extra in own.get_all("Provides-Extra") or []:
        mine: dict[str, Any] = {"extra": extra}
        wanted = [each for each in required if each.marker is not None and each.marker.evaluate(mine)]
        wanted = [each for each in wanted if not each.marker.evaluate({"extra": ""})]  # type: ignore[union-attr]
        missing = [each.name for each in wanted if each.name != "rexcli" and not _fits(each)]
        fix = f"pip install 'rexcli[{extra}]'" if missing else "-"
        rows.append((extra, PURPOSES.get(extra, "-"), ", ".join(missing) or "-", fix))
    return rows


def _fits(requirement: Any) -> bool:
    """Returns whether a package is installed in a version that meets the requirement."""
    try:
        return bool(requirement.specifier.contains(metadata.version(requirement.name), prereleases=True))
    except metadata.PackageNotFoundError:
        return False
