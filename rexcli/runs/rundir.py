"""Writes a run's folder.

    <outputs>/<experiment>/<command>/<YYYY-MM-DD_HH-MM-SS>/
        config.yaml  run.json  log.txt  and what the command makes

`run.json` says from the beginning what runs here, and at the end how it ended:

    format, experiment, command, argv, command_line, seed, parents, versions, git
    changes    by key, what the files declare and what the command line put in its place
    status     running | done | failed | interrupted
    error      what went wrong, or null
    started, ended   ISO 8601 with the offset from UTC
    process    who writes it; a run that is `running` while its process is gone was killed
    results    the numbers that the command ends with
    artifacts  name, size in bytes and sha256 of every file that it made
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from rexcli import signals
from rexcli.errors import RexError, WriteError
from rexcli.runs import formats, provenance, storage
from rexcli.runs.logs import ROOT, log_to, record
from rexcli.runs.recording import RecordingWriter
from rexcli.runs.view import RunView
from rexcli.timeline.spec import SystemTiming

OWN_FILES = ("run.json", "config.yaml", "log.txt")
"""Files that every run has; no artifact may take these names."""


class Run:
    """A run in progress: a context manager that keeps `run.json` true, whatever ends the block.

    Files appear whole or not at all, and stay however the run ends. Use `Run.create` to make a run.

    Attributes:
        path: the run's folder.
    """

    def __init__(self, path: Path, record: dict[str, Any]):
        self.path = path
        self._record = record
        self._artifacts: dict[str, dict[str, Any]] = {}
        self._stack = ExitStack()
        self._log: logging.Handler | None = None

    @classmethod
    def create(
        cls,
        root: Path,
        experiment: str,
        command: str,
        *,
        argv: Sequence[str],
        seed: int | None,
        config_yaml: str,
        parents: Iterable[str | Path] = (),
        changes: Mapping[str, tuple[Any, Any]] | None = None,
        path: Path | None = None,
        project: Path | None = None,
    ) -> Run:
        """Makes the folder with `run.json` (status `running`) and `config.yaml`.

        Args:
            root: the outputs folder.
            experiment, command: folder names under it.
            argv: the command line, program first.
            seed: seed of the run's random numbers.
            config_yaml: the composed experiment.
            parents: runs that this one starts from; noted relative to `root` where they lie in it.
            changes: what the files declare and what the command line put in its place, by dotted key.
            path: folder of the run (for a sweep's job), in place of one named after the time.
            project: project whose git revision is noted; default: the folder that holds `root`.

        Raises:
            RexError: a name is not a valid folder name, or `path` holds a run already.
        """
        root = Path(root)
        run = cls(
            root,
            {
                "format": 1,
                "experiment": experiment,
                "command": command,
                "argv": [str(word) for word in argv],
                "command_line": shlex.join(str(word) for word in argv),
                "status": "running",
                "error": None,
                "seed": seed,
                "started": _now(),
                "ended": None,
                "process": provenance.this_process(),
                "parents": [_relative(parent, root) for parent in parents],
                "versions": provenance.versions(),
                "changes": {key: formats.plain(pair) for key, pair in (changes or {}).items()},
                "git": provenance.git_revision(root.resolve().parent if project is None else project),
                "results": {},
            },
        )
        files = {"config.yaml": config_yaml.encode(), "run.json": run._encoded()}
        with run._made_whole():
            if path is None:
                run.path = storage.new_folder(storage.places(root, experiment, command), files)
            else:
                run.path = _given_folder(Path(path))
                for name, data in files.items():
                    storage.write_atomic(run.path / name, data)
        return run

    @classmethod
    def reopen(cls, path: Path, *, argv: Sequence[str]) -> Run:
        """Opens a stopped run to resume it. Its files stay, except for unfinished ones.

        Args:
            path: the run's folder.
            argv: the command line that resumes it, program first; noted in addition to the first one.

        Raises:
            RexError: there is no run, or it is still running.
        """
        view = RunView(path)
        _ = view.results  # is added to
        if view.status == "running":
            raise RexError(f"{path}: this run is still running; stop it first")
        storage.remove_unfinished(path)
        old = dict(view.record)
        artifacts = {artifact["name"]: artifact for artifact in view.artifacts}
        old.pop("artifacts", None)
        resumed = [*view.resumed, {"command_line": shlex.join(map(str, argv)), "at": _now()}]
        process = provenance.this_process()
        run = cls(path, {**old, "status": "running", "error": None, "ended": None, "process": process})
        run._record["resumed"] = resumed
        run._artifacts = artifacts
        with run._made_whole():
            run._save()
        return run

    @contextmanager
    def _made_whole(self) -> Iterator[None]:
        """Lets the block make the folder; if a signal came meanwhile, the folder then says that it was interrupted."""
        made = False
        try:
            with signals.deferred():
                yield
                made = True
        except KeyboardInterrupt:
            if made:
                with self:
                    raise
            raise

    def __enter__(self) -> Self:
        self._log = self._stack.enter_context(log_to(self.path / "log.txt"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        full = storage.disk_full(self.path) if _is_full(error) else None
        status, message = _outcome(full or error)
        self._record.update(status=status, error=message, ended=_now())
        if self._log is not None and error is not None and kind is not None:
            info = (kind, error, traceback) if status == "failed" and not isinstance(error, RexError) else None
            level = logging.INFO if status == "done" else logging.ERROR
            self._log.handle(record(ROOT, level, f"{status}: {message or kind.__name__}", info))
        with signals.deferred():
            self._stack.close()
            try:
                self._save()
            except (WriteError, OSError):
                if error is None:
                    raise
        if full is not None:
            raise full from error

    def add_result(self, key: str, value: Any) -> None:
        """Adds a number (or text, or a list of them) to the table of results. NaN and infinities are kept."""
        self._record["results"][key] = formats.plain(value)

    @property
    def results(self) -> dict[str, Any]:
        """The results that were added so far."""
        return dict(self._record["results"])

    def write_bytes(self, name: str, data: bytes) -> Path:
        """Writes an artifact whole or not at all, and notes its size and sha256.

        Args:
            name: path of the file inside the run, with `/` between folders.

        Returns:
            The path of the file.
        """
        path = self._place(name)
        storage.write_atomic(path, data)
        self.register(name)
        return path

    def write_json(self, name: str, value: Any) -> Path:
        """Writes an artifact as strict JSON; NaN and infinities become text (see `formats`)."""
        return self.write_bytes(name, formats.encode_json(value))

    def write_arrays(self, name: str, arrays: Mapping[str, npt.ArrayLike]) -> Path:
        """Writes an artifact as an `.npz` that `numpy.load` reads without pickle."""
        return self.write_bytes(name, formats.encode_arrays(arrays))

    def write_csv(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
        return self.write_bytes(name, formats.encode_csv(columns, rows))

    @contextmanager
    def recording(self, spec: SystemTiming, info: Mapping[str, Any] | None = None) -> Iterator[RecordingWriter]:
        """Opens `recording.mcap`, the one artifact that grows in its final place, so that a killed run keeps it."""
        digest = None
        try:
            with RecordingWriter(self._place("recording.mcap"), spec, info) as writer:
                yield writer
            digest = writer.sha256
        finally:
            self.register("recording.mcap", digest)

    def register(self, name: str, sha256: str | None = None) -> None:
        """Notes a file (or every file in a folder) of the run, replacing earlier notes under its name.

        Args:
            name: path of the file or folder inside the run.
            sha256: hash of the file, if it is known; else the file is read.
        """
        path = self._place(name)
        for known in list(self._artifacts):
            if known == name or known.startswith(f"{name}/"):
                del self._artifacts[known]
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            inside = file.relative_to(self.path)
            if file.is_file() and not storage.is_temporary(inside):
                size, digest = file.stat().st_size, sha256 or storage.sha256(file)
                self._artifacts[inside.as_posix()] = {
                    "name": inside.as_posix(),
                    "size": size,
                    "sha256": digest,
                }

    def _place(self, name: str) -> Path:
        if storage.safe_name(name) in OWN_FILES:
            raise RexError(f"'{name}': every run has this file of its own; give the artifact another name")
        return self.path / name

    def _save(self) -> None:
        storage.write_atomic(self.path / "run.json", self._encoded())

    def _encoded(self) -> bytes:
        artifacts = [self._artifacts[name] for name in sorted(self._artifacts)]
        return formats.encode_json({**self._record, "artifacts": artifacts})


def _outcome(error: BaseException | None) -> tuple[str, str | None]:
    """Returns status and message of a run whose block ended with `error`."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "done", None
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", None
    return "failed", str(error) if isinstance(error, RexError) else f"{type(error).__name__}: {error}"


def _is_full(error: BaseException | None) -> bool:
    """Returns whether `error` means that a disk was full, which some libraries only say in words."""
    if isinstance(error, OSError):
        return error.errno in storage.FULL
    return isinstance(error, Exception) and not isinstance(error, RexError) and "No space left on device" in str(error)


def _given_folder(path: Path) -> Path:
    storage.make_folder(path)
    if (path / "run.json").exists():
        raise RexError(f"{path}: there is a run in this folder already; give another one")
    storage.remove_unfinished(path)
    return path


def _relative(parent: str | Path, root: Path) -> str:
    path = Path(parent).resolve()
    return path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else str(parent)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
