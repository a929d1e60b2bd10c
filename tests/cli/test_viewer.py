"""Files are shown by what the platform has for it, or it is said why they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.cli import viewer
from rexcli.errors import RexError

FILES = [Path("a.png"), Path("b.gif")]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was called, on a machine that has everything but a display."""
    calls: list[list[str]] = []
    monkeypatch.setattr(viewer.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(viewer.subprocess, "Popen", lambda command, **_: calls.append(command))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return calls


@pytest.mark.parametrize(
    ("platform", "display", "opener"),
    [("darwin", None, "open"), ("win32", None, "explorer"), ("linux", "WAYLAND_DISPLAY", "xdg-open")],
)
def test_every_file_is_opened_in_turn(
    opened: list[list[str]], monkeypatch: pytest.MonkeyPatch, platform: str, display: str | None, opener: str
) -> None:
    monkeypatch.setattr(viewer.sys, "platform", platform)
    if display is not None:
        monkeypatch.setenv(display, "wayland-0")
    viewer.show_files(FILES)
    assert opened == [[opener, str(file.resolve())] for file in FILES]


def test_where_nothing_shows_files_it_is_named(opened: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer.sys, "platform", "linux")
    with pytest.raises(RexError, match=r"--show: there is no display; open it yourself: a\.png"):
        viewer.show_files(FILES)
    monkeypatch.setattr(viewer.shutil, "which", lambda name: None)
    with pytest.raises(RexError, match=r"--show: xdg-open is not there"):
        viewer.show_files(FILES)
    assert opened == []
