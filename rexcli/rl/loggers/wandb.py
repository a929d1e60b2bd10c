"""Logs to Weights & Biases: one run there for each training here."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rexcli.errors import RexError
from rexcli.rl.loggers.logger import LoggedRun, Logger, mean_and_seeds
from rexcli.runs.formats import decode_json, encode_json
from rexcli.runs.storage import write_atomic

if TYPE_CHECKING:
    from rexcli.rl.train import Progress

NOTE = "wandb.json"
"""The file with the id of the run at Weights & Biases, so that a resumed training continues that run."""


class WandB(Logger):
    """Sends a training's numbers to Weights & Biases, over environment steps: means over seeds, and each seed's.

    Args:
        project: the project there; None for the experiment's name.
        entity: user or team; None for the user who is logged in.
        group, job_type, tags, name, notes: as shown by Weights & Biases; the default name is that of the run's folder.
        mode: `online`, or `offline` to keep the files in the run's folder for `wandb sync`; None for the value of
            `WANDB_MODE`, else `online`.

    Raises:
        RexError: if wandb is not installed.
    """

    def __init__(
        self,
        project: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: list[str] | None = None,
        name: str | None = None,
        notes: str | None = None,
        mode: Literal["online", "offline"] | None = None,
    ):
        try:
            import wandb
        except ImportError:
            raise RexError("this needs wandb: pip install 'rexcli[wandb]'") from None
        self._wandb: Any = wandb
        self._project, self._name, self._mode = project, name, mode
        given = {"entity": entity, "group": group, "job_type": job_type, "tags": tags, "notes": notes}
        self._options = {key: value for key, value in given.items() if value is not None}
        self._path = Path()
        self._run: Any = None

    def start(self, run: LoggedRun) -> str:
        self._path = run.path
        note = run.path / NOTE
        known = decode_json(note.read_bytes()) if note.is_file() else {}
        began = str(known.get("id") or secrets.token_hex(4))
        try:
            self._run = self._wandb.init(
                project=self._project or run.experiment,
                name=self._name or run.path.name,
                id=began,
                resume="allow" if known else None,
                mode=self._mode,
                dir=str(run.path),
                config=dict(run.config),
                reinit="create_new",
                settings=self._wandb.Settings(silent=True, console="off"),
                **self._options,
            )
        except self._wandb.Error as error:
            text = " ".join(str(error).split())
            raise RexError(f"Weights & Biases refused: {text}; `wandb login`, or give mode: offline") from None
        offline = bool(self._run.settings._offline)
        place = {} if offline else {"entity": self._run.entity, "url": self._run.url}
        write_atomic(note, encode_json({"id": began, "project": self._run.project, **place}))
        return f"wandb sync {self._folder()}" if offline else str(self._run.url)

    def log(self, progress: Progress) -> None:
        numbers = {"updates": progress.updates, "seconds": progress.seconds, **mean_and_seeds(progress)}
        self._run.log(numbers, step=progress.timesteps)

    def finish(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == "done" else 1)

    def artifacts(self) -> list[str]:
        logs = sorted(self._path.glob("wandb/*run-*/*.wandb"))
        return [NOTE, *(path.relative_to(self._path).as_posix() for path in logs)]

    def _folder(self) -> Path:
        return Path(self._run.settings.sync_dir)
