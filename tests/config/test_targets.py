"""Configuration names classes of trusted packages, and nothing else is found or called."""

from __future__ import annotations

import re

import pytest

from rexcli.config.build import build_system
from rexcli.config.compose import compose
from rexcli.config.key_origins import Origins
from rexcli.config.project import Project
from rexcli.config.targets import Loader
from rexcli.errors import RexError
from tests.config.test_build import refusal


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "nodes.toy.os.system",
        "nodes.toy.paths.os.system",
        "nodes.toy.run",
        "nodes.toy.shell",
        "nodes.toy.Popen",
        "nodes.toy.subprocess.Popen",
        "nodes.toy.make",
        "nodes.toy.Eye.__init__",
        "nodes.toy.Eye.__class__",
        "nodes.toy",
        "rexcli.runs.storage.write_atomic",
        "rexcli.runs.rundir.Run",
        "rexcli.cli.main.main",
        "distrax.jax.numpy.array",
        "nodesx.toy.Eye",
    ],
)
def test_only_classes_of_trusted_packages_are_found(toy: Project, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("it was called"))
    toy.activate()
    with pytest.raises(RexError, match=f"the key={target}"):
        Loader((), Origins(fallback="file")).find(target, "the key")


@pytest.mark.parametrize("place", ["nodes.brain", "nodes.eye.delay", "nodes.eye.lens", "edges.eye_brain.delay"])
def test_every_target_is_checked(toy: Project, place: str) -> None:
    assert "only nodes, rexcli, distrax are trusted" in refusal(f"{place}._target_=os.system")
    assert "os.system" in refusal(f"{place}={{_target_:distrax.Normal,loc:{{_target_:os.system,command:ls}},scale:1}}")


def test_trusted_targets_let_more_in(toy: Project) -> None:
    lens = "nodes.eye.lens={_target_:fractions.Fraction,numerator:1,denominator:3}"
    assert "trusted_targets=[fractions]" in refusal(lens)
    system = build_system(compose("toy", [lens, "trusted_targets=[fractions]"]))
    assert float(system.nodes["eye"].lens) == pytest.approx(1 / 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nodes.kit.Brokn", "nodes.kit has no 'Brokn'; did you mean 'Broken'?"),
        ("nodes.kit.Broken", "importing nodes.kit.Broken failed: ZeroDivisionError: division by zero"),
        ("nodes.kit.Needy", "nodes.kit.Needy needs 'not_here', which is not there"),
    ],
)
def test_a_package_may_import_its_classes_when_they_are_used(toy: Project, target: str, says: str) -> None:
    kit = toy.root / "nodes" / "kit"
    kit.mkdir()
    files = {
        "__init__": "from rexcli.lazy import attach\n"
        "names = {'good': ['Good'], 'broken': ['Broken'], 'needy': ['Needy']}\n"
        "__getattr__, __all__ = attach(__name__, names)\n",
        "good": "class Good: pass\n",
        "broken": "1 / 0\n",
        "needy": "import not_here\n",
    }
    for name, text in files.items():
        (kit / f"{name}.py").write_text(text)
    toy.activate()
    loader = Loader((), Origins(fallback="file"))
    assert loader.find("nodes.kit.Good", "the key").__name__ == "Good"
    with pytest.raises(RexError, match=re.escape(says)):
        loader.find(target, "the key")
