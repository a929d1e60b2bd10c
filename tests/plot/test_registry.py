"""Which pictures there are: those of the package, and of those that a run names the user's own alone."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from rexcli.errors import RexError
from rexcli.plot import draw_run, pictures
from tests.plot.fixtures import FakeRun, bringing, pendulum_rollouts


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("os.system", "only nodes, rexcli, distrax are trusted"),
        ("nodes.pendulum.plant.subprocess.Popen", "nodes.pendulum.plant has no|this is subprocess"),
        ("nodes.pendulum.Motor", "this is no picture"),
        ("nodes.pendulum.picture.draw", "this is a function"),
        ("rexcli.plot.ages.Ages", "configuration may not call"),
        ("nodes.pendulum.picture.Pendulm", "did you mean 'Pendulum'"),
    ],
)
def test_a_strangers_run_names_pictures_of_the_users_own_nodes_alone(
    tmp_path: Path, path: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = FakeRun(tmp_path, {}, bringing(path))
    with pytest.raises(RexError, match=said):
        draw_run(run, only=["swing"])
    with caplog.at_level(logging.WARNING):
        assert {file.stem for file in draw_run(run)} == {"system"}
    assert "picture 'swing'" in caplog.text


def test_a_run_that_is_a_project_is_not_drawn_by_its_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = FakeRun(tmp_path, {}, bringing("nodes.evil.Picture"))
    for folder, file, text in (("conf", "x.yaml", ""), ("nodes", "evil.py", "open('executed', 'w')")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert {file.stem for file in draw_run(run)} == {"system"}
    assert "draw it from a project of your own" in caplog.text
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["../swing", "a/b", "..", "a\\b"])
def test_a_strangers_picture_has_no_name_that_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    config = bringing("nodes.pendulum.picture.Pendulum", name)
    with pytest.raises(RexError, match="plots"):
        draw_run(FakeRun(tmp_path / "run", {"rollouts.npz": pendulum_rollouts(5)}, config))
    assert not list(tmp_path.rglob("*.gif"))


def test_a_new_module_in_the_package_is_a_new_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hello.py").write_text(
        "from rexcli.plot import Picture, style\n"
        "class Hello(Picture):\n"
        "    needs = ('hello.txt',)\n"
        "    def render(self, view, options):\n"
        "        return style.figure(2, 1)\n"
    )
    import rexcli.plot

    monkeypatch.setattr(rexcli.plot, "__path__", [*rexcli.plot.__path__, str(tmp_path)])
    try:
        assert "hello" in pictures()
        files = draw_run(FakeRun(tmp_path, {"hello.txt": ""}))
        assert "hello.png" in {file.name for file in files}
    finally:
        sys.modules.pop("rexcli.plot.hello", None)
