"""Runs as they lie on disk, to be read: data from who knows where. Nothing that they name is run or built."""

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
"""The folder of a sweep in which lie the runs of jobs that were made again; they count no more."""
SLACK = 2 * 86400.0
"""Seconds: more than by what two offsets from UTC differ, and than the clocks of two machines should."""


class RunView:
    """One run, read only.

    Args:
        path: the run's folder.

    Raises:
        RexError: there is no run there, or its `run.json` is damaged. So does every method for a file that is
            missing or damaged; the message names the file.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        file = os.path.join(path, "run.json")  # of a thousand runs, paths take as long as reading them
        try:
            data = _bytes(file)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise RexError(f"{self.path}: no run.json here; give the folder of a run (`rex ls` lists them)") from None
        except OSError as error:
            raise RexError(f"{file}: cannot be read: {error.strerror or error}") from None
        record = self._guard(file, lambda: formats.decode_json(data))
        if not isinstance(record, dict):
            raise RexError(f"{file}: damaged: not a JSON object")
        self._record: dict[str, Any] = record

    def __repr__(self) -> str:
        return f"RunView({str(self.path)!r})"

    @property
    def record(self) -> dict[str, Any]:
        """`run.json` as it is."""
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
        """ISO 8601 with the offset from UTC."""
        return self._field("started", str)

    @property
    def ended(self) -> str | None:
        """The same; None while it runs and where it was killed."""
        return self._field("ended", str | None)

    @property
    def status(self) -> str:
        """`running`, `done`, `failed`, `interrupted`, or `killed`: its process went away without a word."""
        status = self._field("status", str)
        return "killed" if status == "running" and not provenance.is_alive(self._record.get("process")) else status

    @property
    def error(self) -> str | None:
        """What made it fail."""
        return self._field("error", str | None)

    @cached_property
    def results(self) -> dict[str, Any]:
        """By name; NaN and infinities are floats again."""
        return formats.restore_nonfinite(self._field("results", dict))

    @property
    def parents(self) -> list[str]:
        """Runs that this one started from, relative to the outputs folder where they lay in it."""
        return [str(parent) for parent in self._field("parents", list)]

    @property
    def versions(self) -> dict[str, str | None]:
        return self._field("versions", dict)

    @property
    def git(self) -> dict[str, Any] | None:
        """`{"revision", "dirty"}` of the project."""
        return self._field("git", dict | None)

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """What the command line changed, by dotted key: what the files declared, and what is in its place."""
        changes = self._field("changes", dict) if "changes" in self._record else {}
        return {key: (pair[0], pair[1]) for key, pair in changes.items() if isinstance(pair, list) and len(pair) == 2}

    @property
    def resumed(self) -> list[Any]:
        """With which command lines it was gone on with, and when."""
        return self._field("resumed", list) if "resumed" in self._record else []

    @property
    def artifacts(self) -> list[dict[str, Any]]:
        """`name`, `size`, `sha256` of each; empty for a run that never came to its end."""
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
        """`config.yaml` as plain data: nothing resolved, nothing built."""
        config = self._read("config.yaml", load_yaml)
        if not isinstance(config, dict):
            raise RexError(f"{self.path / 'config.yaml'}: damaged: not a mapping")
        return config

    def files(self) -> list[str]:
        """Names of all whole files in the run, its own three included."""
        inside = sorted(file.relative_to(self.path) for file in self.path.rglob("*") if file.is_file())
        return [file.as_posix() for file in inside if not storage.is_temporary(file)]

    def has(self, name: str) -> bool:
        """Whether the run has this file or folder, whole."""
        return (self.path / storage.safe_name(name)).exists() and not storage.is_temporary(Path(name))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """All arrays of an `.npz`."""
        path = self._locate(name)
        return self._guard(path, lambda: formats.decode_arrays(path))

    def json(self, name: str) -> Any:
        return self._read(name, formats.decode_json)

    def csv(self, name: str) -> dict[str, np.ndarray]:
        """Columns by name: int64, float64 or text."""
        return self._read(name, formats.decode_csv)

    def timeline(self) -> Timeline:
        """From `timeline.npz`, or where there is none, from the recording."""
        if not self.has("timeline.npz"):
            if self.has("recording.mcap"):
                return self.recording().timeline()
            raise RexError(
                f"{self.path}: this run of '{self.command}' has no timeline; `record` and `compile` make one"
            )
        from rexcli.timeline.arrays import from_arrays

        arrays = self.arrays("timeline.npz")
        return self._guard(self.path / "timeline.npz", lambda: from_arrays(arrays))

    def plan(self, timeline: Timeline) -> Plan:
        """The plan of the run's own `timeline` in `plan.npz`."""
        from rexcli.compiler.plan_arrays import plan_from_arrays

        arrays = self.arrays("plan.npz")
        return self._guard(self.path / "plan.npz", lambda: plan_from_arrays(arrays, timeline))

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
        return self._guard(path, lambda: decode(path.read_bytes()))

    def _guard(self, path: Path | str, read: Callable[[], T]) -> T:
        """What `read` returns; whatever is wrong with the data becomes an error that names the file."""
        try:
            return read()
        except RexError as error:
            raise RexError(f"{path}: damaged: {error}") from None
        except OSError as error:
            raise RexError(f"{path}: cannot be read: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise RexError(f"{path}: damaged: {type(error).__name__} {error}") from None

    def _field(self, name: str, kind: Any) -> Any:
        value = self._record.get(name)
        if not isinstance(value, kind):
            raise RexError(f"{self.path / 'run.json'}: damaged: {name} is {value!r}")
        return value


def _bytes(file: str) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()


def list_runs(root: Path, experiment: str | None = None, command: str | None = None) -> list[RunView]:
    """All runs in a folder, however deep, sweeps' jobs included, newest first. Damaged ones are left out."""
    views = [entry for folder in _run_folders(root) if (entry := _entry(folder, experiment, command))]
    return [view for *_, view in sorted(views, key=_ORDER, reverse=True)]


_ORDER = itemgetter(0, 1)


def _entry(folder: str, experiment: str | None, command: str | None) -> tuple[str, str, RunView] | None:
    """A run, behind what it is sorted by; None if it is damaged or another is wanted."""
    try:
        view = RunView(folder)
        _ = view.status, view._field("results", dict)
        if experiment in (None, view.experiment) and command in (None, view.command):
            return view.started, str(view.path), view
    except RexError:
        pass
    return None


def _newest_first(root: Path, command: str | None) -> Iterator[RunView]:
    """The same as `list_runs`, but reads no more than it must: `run.json` is written when a run starts and again when
    it ends, so no run is newer than that file. Where one is (an archive that keeps no times), all are read."""
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
    except OSError:  # it has just gone away
        return 0.0


def _seconds(started: str) -> float:
    """Since 1970; of what is no time, more than of any."""
    try:
        return datetime.fromisoformat(started).timestamp()
    except (ValueError, OverflowError, OSError):
        return float("inf")


def _run_folders(root: Path | str) -> Iterator[str]:
    """Folders with a `run.json`; what is below one of them is the run's own, and hidden folders hold no runs."""
    below = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name == "run.json":
                    yield str(root)
                    return
                if not entry.name.startswith(".") and entry.name != EARLIER and entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
    except OSError:  # it is not there, or nobody may look into it
        return
    for folder in below:
        yield from _run_folders(folder)


def children(run: Path, root: Path) -> list[RunView]:
    """The runs in a folder that started from `run`, oldest first."""
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
    """The run that a person means.

    Args:
        text: the path of a run's folder (or of a file in it), from here or from `root`; or `latest`, the newest run;
            or `latest:train`, the newest of one command. This process's own unfinished run is never the latest.
        root: the outputs folder.
        having: for `latest`, consider only runs that have one of these files.

    Raises:
        RexError: there is none.
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
