"""Opens files with the platform's viewers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rexcli.errors import RexError


def show_files(files: Sequence[Path]) -> None:
    """Opens each file with its viewer, and does not wait for the viewer to close.

    Raises:
        RexError: this machine has no viewer, for example for want of a display.
    """
    opener = {"darwin": "open", "win32": "explorer"}.get(sys.platform, "xdg-open")
    display = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not shutil.which(opener) or not display:
        why = f"{opener} is not there" if not shutil.which(opener) else "there is no display"
        raise RexError(f"--show: {why}; open it yourself: {files[0] if files else ''}")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for file in files:
        subprocess.Popen([opener, str(file.resolve())], start_new_session=True, **quiet)  # type: ignore[call-overload]
