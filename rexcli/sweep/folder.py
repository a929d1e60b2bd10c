"""Reads and writes a sweep's folder: the overrides of its jobs, and their results.

    sweep.json      what was typed, and every job's overrides by number
    <number>/       a job: `job.json` and, if it started a run, the run's own files
    earlier/        the files of jobs that were run again
    .stop-<n>       exists once the n-th attempt is over: its jobs end, or do not start
    sweep.csv, plots/

A job's `job.json` has its overrides, its status, its objective and, if it failed, the error. Its results are read from
its run. While a job runs, its `job.json` is touched every few seconds, so that other machines see that it is running.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rexcli.errors import RexError
from rexcli.runs import formats, provenance, storage
from rexcli.runs.view import EARLIER, RunView

RECORD = "sweep.json"

SIGN_OF_LIFE = 10.0
"""Seconds between heartbeats of a job."""

SILENCE = 120.0
"""Seconds without a heartbeat after which a job on another machine counts as killed."""


@dataclass(frozen=True)
class SweepRecord:
    """The content of `sweep.json`.

    Attributes:
        command: the command's name.
        experiment: the experiment's name.
        conf: as typed; None for the default.
        config_dir: as typed, absolute.
        overrides: overrides of the experiment, as typed.
        choices: overrides of launcher, sweeper and Hydra's own settings, as typed.
        config: the first job's configuration, as plain data.
        started: when the sweep was first started, ISO 8601.
        attempt: how many times it was started.
        process, host: the process that runs it, None once its table is written; and its machine.
        jobs: overrides of each job, by number.
    """

    command: str
    experiment: str
    conf: str | None
    config_dir: str | None
    overrides: tuple[str, ...]
    choices: tuple[str, ...]
    config: Mapping[str, Any]
    started: str
    attempt: int = 1
    process: Mapping[str, Any] | None = field(default_factory=provenance.this_process)
    host: str = field(default_factory=platform.node)
    jobs: tuple[tuple[str, ...], ...] = ()

    def begun_again(self) -> SweepRecord:
        """Returns the record of the next attempt, by this process."""
        return replace(self, attempt=self.attempt + 1, process=provenance.this_process(), host=platform.node())

    def is_alive(self) -> bool:
        """Whether the process that started it last is running on this machine."""
        return self.host == platform.node() and provenance.is_alive(self.process)


@dataclass(frozen=True)
class JobRow:
    """One job of a sweep.

    Attributes:
        number: its folder's name.
        overrides: its overrides by key, as typed.
        status: `waiting`, `running`, `done`, `failed`, `interrupted` or `killed`.
        results: the results of its run.
        error: the error if it failed.
        objective: the number that a sweeper maximises or minimises.
    """

    number: int
    overrides: Mapping[str, str]
    status: str
    results: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    objective: float | None = None


def new_sweep(places: Iterator[Path], record: SweepRecord) -> Path:
    """Creates a sweep's folder with its `sweep.json` at the first of some paths that does not exist yet."""
    return storage.new_folder(places, {RECORD: _encoded(record)})


def write_record(folder: Path, record: SweepRecord) -> None:
    """Writes `sweep.json`."""
    storage.write_atomic(folder / RECORD, _encoded(record))


def _encoded(record: SweepRecord) -> bytes:
    return formats.encode_json(asdict(record))


def read_record(folder: Path) -> SweepRecord:
    """Reads `sweep.json`.

    Raises:
        RexError: if it is missing or damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        raise RexError(f"{folder}: no {RECORD} here; give the folder of a sweep, which `rex COMMAND -m` makes")
    try:
        plain = dict(formats.decode_json(path.read_bytes()))
        texts = {name: tuple(map(str, plain[name])) for name in ("overrides", "choices")}
        jobs = tuple(tuple(map(str, job)) for job in plain["jobs"])
        return SweepRecord(**{**plain, **texts, "jobs": jobs, "attempt": int(plain["attempt"])})
    except (ValueError, KeyError, TypeError) as error:
        raise RexError(f"{path}: damaged: {type(error).__name__} {error}") from None


def is_sweep(path: Path) -> bool:
    """Returns whether `path` is a sweep's folder."""
    return (path / RECORD).is_file()


def find_sweep(text: str, outputs: Path, command: str) -> Path:
    """Finds a sweep by a folder, relative to the working directory or to `outputs`, or by `latest` or `latest:COMMAND`.

    Raises:
        RexError: if there is none.
    """
    if text == "latest" or text.startswith("latest:"):
        wanted = text.partition(":")[2] or command
        found = [(read_record(file.parent), file.parent) for file in outputs.glob(f"*/*/*/{RECORD}")]
        ours = [(record.started, str(path)) for record, path in found if record.command == wanted]
        if not ours:
            raise RexError(f"resume={text}: no sweep of '{wanted}' in {outputs} yet; give a sweep's folder")
        return Path(max(ours)[1])
    for path in (Path(text), outputs / text):
        if is_sweep(path):
            return path
        if (path / "run.json").is_file():
            raise RexError(f"resume={text}: this is one run, not a sweep; leave out -m")
    raise RexError(f"resume={text}: no sweep is there; give a sweep's folder, latest or latest:COMMAND")


def stop_file(folder: Path, attempt: int) -> Path:
    """Returns the path of the file that tells running jobs of an attempt to end, and waiting ones not to start."""
    return folder / f".stop-{attempt}"


def set_aside(folder: Path) -> Path | None:
    """Moves the files of an earlier attempt at a job into `earlier/`, so that its folder is new.

    Returns:
        The new path of the earlier run; None if there was none worth keeping.
    """
    left = list(folder.iterdir()) if folder.is_dir() else []
    if not left:
        return None
    if [file.name for file in left] == ["job.json"]:
        left[0].unlink()
        return None
    storage.remove_abandoned(folder, below=True)
    (folder.parent / EARLIER).mkdir(exist_ok=True)
    place = next(place for place in storage.numbered(folder.parent / EARLIER / folder.name) if not place.exists())
    folder.rename(place)
    folder.mkdir()
    return place


def write_job(
    folder: Path, overrides: Sequence[str], status: str, error: str | None = None, objective: float | None = None
) -> None:
    """Writes a job's overrides and status to its folder."""
    record = {
        "overrides": list(overrides),
        "status": status,
        "error": error,
        "objective": objective,
        "process": provenance.this_process(),
        "host": platform.node(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    storage.write_atomic(folder / "job.json", formats.encode_json(record))


def collect(folder: Path) -> list[JobRow]:
    """Returns the jobs of a sweep, by number; only reads data."""
    jobs = read_record(folder).jobs if is_sweep(folder) else ()
    started = {int(path.parent.name) for path in folder.glob("*/job.json") if path.parent.name.isdigit()}
    return [
        job_row(folder / str(number), jobs[number] if number < len(jobs) else ())
        for number in sorted(started | set(range(len(jobs))))
    ]


def job_row(path: Path, overrides: Sequence[str] = ()) -> JobRow:
    """Returns one job, from its folder; `overrides` are used if it has not started."""
    try:
        stat = (path / "job.json").stat()
        record = formats.decode_json((path / "job.json").read_bytes())
        overrides, status, error = record["overrides"], str(record["status"]), record.get("error")
        objective = record.get("objective")
    except FileNotFoundError:
        return JobRow(int(path.name), _by_key(overrides), "waiting")
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise RexError(f"{path / 'job.json'}: damaged: {type(problem).__name__} {problem}") from None
    if status == "running":
        here = record.get("host") in (None, platform.node())
        lives = provenance.is_alive(record.get("process")) if here else time.time() - stat.st_mtime < SILENCE
        status = "running" if lives else "killed"
    results: dict[str, Any] = {}
    if (path / "run.json").is_file():
        try:
            results = RunView(path).results
        except RexError as problem:
            error = error or str(problem)
    return JobRow(int(path.name), _by_key(overrides), status, results, error, objective)


def _by_key(overrides: Sequence[str]) -> dict[str, str]:
    return dict(text.partition("=")[::2] for text in overrides)
