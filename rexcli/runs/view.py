"""Reads runs from disk as untrusted data: nothing that they name is executed or built."""

from __future__ import annotations

import os
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rexcli.errors import RexError, suggest
from rexcli.runs import formats, provenance, storage
from rexcli.runs.plain_yaml import load_yaml

if TYPE_CHECKING:
    import numpy as np

    from rexcli.compiler.plan import Plan
    from rexcli.runs.recording import Recording
    from rexcli.timeline.timeline import Timeline

T = TypeVar("T")

EARLIER = "earlier"
"""The folder of a sweep with earlier runs of jobs that were repeated; they no longer count."""
SLACK = 2 * 86400.0
"""Seconds by which times may differ: more than two offsets from UTC do, and than two machines' clocks should."""


class RunView:
    """A run, for reading only.

    Args:
        path: the run's folder.

    Raises:
        RexError: there is no run, or its `run.json` is damaged. Every method raises it for a file that is missing or
            damaged; the message names the file.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        file = os.path.join(path, "run.json")  # for a thousand runs, making paths takes as long as reading the files
        try:
            data = _bytes(file)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise RexError(f"{self.path}: no run.json here; give the folder of a run (`rex ls` lists them)") from None
        except OSError as error:
            raise RexError(f"{file}: cannot be read: {error.strerror or error}") from None
        record = guarded(file, lambda: formats.decode_json(data))
        if not isinstance(record, dict):
            raise RexError(f"{file}: damaged: not a JSON object")
        self._record: dict[str, Any] = record

    def __repr__(self) -> str:
        return f"RunView({str(self.path)!r})"

    @property
    def record(self) -> dict[str, Any]:
        """The content of `run.json`."""
        return dict(self._record)

    @property
    def experiment(self) -> str:
        return self._field("experiment", str)

    @property
    def command(self) -> str:
        return self._field("command", str)

    @property
    def command_line(self) -> str:
        return self._field("command_line", str)

    @property
    def seed(self) -> int | None:
        return self._field("seed", int | None)

    @property
    def started(self) -> str:
        """When the run started, in ISO 8601 with the offset from UTC."""
        return self._field("started", str)

    @property
    def ended(self) -> str | None:
        """When the run ended, in ISO 8601; None while it runs, or if it was killed."""
        return self._field("ended", str | None)

    @property
    def status(self) -> str:
        """The status: `running`, `done`, `failed`, `interrupted`, or `killed` if its process just vanished."""
        status = self._field("status", str)
        return "killed" if status == "running" and not provenance.is_alive(self._record.get("process")) else status

    @property
    def error(self) -> str | None:
        """The message of the error with which the run failed."""
        return self._field("error", str | None)

    @cached_property
    def results(self) -> dict[str, Any]:
        """The results by name; NaN and infinities are floats again."""
        return formats.restore_nonfinite(self._field("results", dict))

    @property
    def parents(self) -> list[str]:
        """The runs that this one started from, relative to the outputs folder if they lay in it."""
        return [str(parent) for parent in self._field("parents", list)]

    @property
    def versions(self) -> dict[str, str | None]:
        return self._field("versions", dict)

    @property
    def git(self) -> dict[str, Any] | None:
        """The git state of the project, `{"revision", "dirty"}`."""
        return self._field("git", dict | None)

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """The changes of the command line by dotted key: what the files declared, and what replaced it."""
        changes = self._field("changes", dict) if "changes" in self._record else {}
        return {key: (pair[0], pair[1]) for key, pair in changes.items() if isinstance(pair, list) and len(pair) == 2}

    @property
    def resumed(self) -> list[Any]:
        """The command lines that resumed the run, and when."""
        return self._field("resumed", list) if "resumed" in self._record else []

    @property
    def artifacts(self) -> list[dict[str, Any]]:
        """The artifacts, each with `name`, `size` and `sha256`; empty for a run that never came to its end."""
        artifacts = self._field("artifacts", list) if "artifacts" in self._record else []
        for artifact in artifacts:
            if not isinstance(artifact, dict) or not isinstance(artifact.get("name"), str):
                raise RexError(f"{self.path / 'run.json'}: damaged: an artifact without a name")
            try:
                storage.safe_name(artifact["name"])
            except RexError as error:
                raise RexError(f"{self.path / 'run.json'}: damaged: artifact {error}") from None
        return artifacts

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of `config.yaml` as plain data: nothing is resolved or built."""
        config = self._read("config.yaml", load_yaml)
        if not isinstance(config, dict):
            raise RexError(f"{self.path / 'config.yaml'}: damaged: not a mapping")
        return config

    def files(self) -> list[str]:
        """Returns the names of all complete files in the run, including its own three."""
        inside = sorted(file.relative_to(self.path) for file in self.path.rglob("*") if file.is_file())
        return [file.as_posix() for file in inside if not storage.is_temporary(file)]

    def has(self, name: str) -> bool:
        """Returns whether the run has this file or folder, and complete."""
        return (self.path / storage.safe_name(name)).exists() and not storage.is_temporary(Path(name))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Returns all arrays of an `.npz`."""
        path = self._locate(name)
        return guarded(path, lambda: formats.decode_arrays(path))

    def json(self, name: str) -> Any:
        return self._read(name, formats.decode_json)

    def csv(self, name: str) -> dict[str, np.ndarray]:
        """Returns columns by name: int64, float64 or text."""
        return self._read(name, formats.decode_csv)

    def timeline(self) -> Timeline:
        """Returns the timeline of `timeline.npz`, or of the recording if there is no such file."""
        if not self.has("timeline.npz"):
            if self.has("recording.mcap"):
                return self.recording().timeline()
            raise RexError(
                f"{self.path}: this run of '{self.command}' has no timeline; `record` and `compile` make one"
            )
        from rexcli.timeline.arrays import from_arrays

        arrays = self.arrays("timeline.npz")
        return guarded(self.path / "timeline.npz", lambda: from_arrays(arrays))

    def plan(self, timeline: Timeline) -> Plan:
        """Returns the plan in `plan.npz` for the run's own `timeline`."""
        from rexcli.compiler.plan_arrays import plan_from_arrays

        arrays = self.arrays("plan.npz")
        return guarded(self.path / "plan.npz", lambda: plan_from_arrays(arrays, timeline))

    def recording(self) -> Recording:
        from rexcli.runs.recording import read_recording

        return read_recording(self._locate("recording.mcap"))

    def _locate(self, name: str) -> Path:
        path = self.path / storage.safe_name(name)
        if not path.is_file():
            known = [file for file in self.files() if file.endswith(Path(name).suffix)]
            has = f"it has {', '.join(known)}" if known else "it has none of this kind"
            raise RexError(f"{self.path}: this run of '{self.command}' has no {name}; {has}")
        return path

    def _read(self, name: str, decode: Callable[[bytes], T]) -> T:
        path = self._locate(name)
        return guarded(path, lambda: decode(path.read_bytes()))

    def _field(self, name: str, kind: Any) -> Any:
        value = self._record.get(name)
        if not isinstance(value, kind):
            raise RexError(f"{self.path / 'run.json'}: damaged: {name} is {value!r}")
        return value


def guarded(path: Path | str, read: Callable[[], T]) -> T:
    """Returns what `read` returns; any problem with the data becomes an error that names the file."""
    try:
        return read()
    except RexError as error:
        raise RexError(f"{path}: damaged: {error}") from None
    except OSError as error:
        raise RexError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise RexError(f"{path}: damaged: {type(error).__name__} {error}") from None


def _bytes(file: str) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()


def list_runs(root: Path, experiment: str | None = None, command: str | None = None) -> list[RunView]:
    """Returns all runs in a folder, however deep, including sweeps' jobs, newest first. Damaged ones are left out."""
    views = [entry for folder in _run_folders(root) if (entry := _entry(folder, experiment, command))]
    return [view for *_, view in sorted(views, key=_ORDER, reverse=True)]


_ORDER = itemgetter(0, 1)


def _entry(folder: str, experiment: str | None, command: str | None) -> tuple[str, str, RunView] | None:
    """Returns a run after its sort keys; None if it is damaged or has another experiment or command."""
    try:
        view = RunView(folder)
        _ = view.status, view._field("results", dict)
        if experiment in (None, view.experiment) and command in (None, view.command):
            return view.started, str(view.path), view
    except RexError:
        pass
    return None


def _newest_first(root: Path, command: str | None) -> Iterator[RunView]:
    """Yields the runs of `list_runs`, newest first, without reading more than it must.

    `run.json` is written when a run starts and when it ends, so a run is not newer than its file. If one is (an archive
    that keeps no times), all are read.
    """
    files = sorted(((_changed(folder), folder) for folder in _run_folders(root)), reverse=True)
    found: list[tuple[str, str, RunView]] = []
    slack = SLACK
    for changed, folder in files:
        while found and _seconds(found[-1][0]) > changed + slack:
            yield found.pop()[-1]
        if entry := _entry(folder, None, command):
            insort(found, entry, key=_ORDER)
            if _seconds(entry[0]) > changed + slack:
                slack = float("inf")
    yield from (view for *_, view in reversed(found))


def _changed(folder: str) -> float:
    try:
        return os.stat(os.path.join(folder, "run.json")).st_mtime
    except OSError:  # it was just removed
        return 0.0


def _seconds(started: str) -> float:
    """Converts a time to seconds since 1970; text that is not a time becomes infinity."""
    try:
        return datetime.fromisoformat(started).timestamp()
    except (ValueError, OverflowError, OSError):
        return float("inf")


def _run_folders(root: Path | str) -> Iterator[str]:
    """Yields the folders with a `run.json`, without looking below them or into hidden folders."""
    below = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name == "run.json":
                    yield str(root)
                    return
                if not entry.name.startswith(".") and entry.name != EARLIER and entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
    except OSError:  # it does not exist or is not readable
        return
    for folder in below:
        yield from _run_folders(folder)


def children(run: Path, root: Path) -> list[RunView]:
    """Returns the runs in a folder that started from `run`, oldest first."""
    here = run.resolve()
    name = here.name.encode()
    found = []
    for folder in _run_folders(root):
        try:
            if here.name.isascii() and name not in _bytes(os.path.join(folder, "run.json")):
                continue
            view = RunView(folder)
            if any((root / parent).resolve() == here for parent in view.parents):
                found.append((view.started, str(view.path), view))
        except (RexError, OSError):
            continue
    return [view for *_, view in sorted(found, key=lambda entry: entry[:2])]


def find_run(text: str, root: Path, having: Sequence[str] = ()) -> RunView:
    """Returns the run that a person means.

    Args:
        text: the path of a run's folder (or of a file in it), from here or from `root`; or `latest`, the newest run;
            or `latest:train`, the newest of one command. This process's own unfinished run is never the latest.
        root: the outputs folder.
        having: files, one of which the `latest` run must have.

    Raises:
        RexError: there is no such run.
    """
    if text == "latest" or text.startswith("latest:"):
        return _latest(text.partition(":")[2] or None, root, having)
    for path in (Path(text), root / text):
        if path.is_file():
            path = path.parent
        if (path / "run.json").is_file():
            return RunView(path)
        if path.is_dir() and (jobs := sorted(path.glob("*/run.json"))):
            raise RexError(f"'{text}': not one run but a folder of {len(jobs)}; name one, such as {jobs[0].parent}")
    fix = "give a run's folder, 'latest' or 'latest:COMMAND' (`rex ls` lists the runs)"
    known = ["latest", *(Path(folder).relative_to(root).as_posix() for folder in _run_folders(root))]
    near = suggest(text, known)
    raise RexError(f"'{text}': no run is there{near if 'did you mean' in near else ''}; {fix}")


def _latest(command: str | None, root: Path, having: Sequence[str]) -> RunView:
    own = provenance.this_process()
    for view in _newest_first(root, command):
        ours = view.status == "running" and view._record.get("process") == own
        if not ours and (not having or any(view.has(name) for name in having)):
            return view
    others = (view for view in list_runs(root) if not having or any(view.has(name) for name in having))
    commands = sorted({view.command for view in others} - {command})
    near = f"{suggest(command, commands)}" if command and commands else ""
    what = f"run of '{command}'" if command else "run"
    with_file = f" with {' or '.join(having)}" if having else ""
    raise RexError(f"latest: no {what}{with_file} in {root} yet{near}; make one first, or give a run's folder")
