"""A model file as MuJoCo compiles it, with motors that it lacks, and kept as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli import RexError, pipeline
from rexcli.cli.main import main
from rexcli.cli.node_files import refuse_changed
from rexcli.runs.view import find_run
from rexcli.worlds.model import Model
from tests.worlds.models import URDF, needs_mujoco, slow, written


@slow
@needs_mujoco
def test_a_urdf_file_gets_motors_and_is_kept_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    written(tmp_path, URDF, "lever.urdf")
    (tmp_path / "conf" / "lever.yaml").write_text(
        "defaults: [base, _self_]\nname: lever\nsupervisor: agent\nnodes:\n"
        "  world: {_target_: rexcli.worlds.Mujoco, rate: 100, model: lever.urdf, motors: {left-knee: 3.0}, "
        "actuators: {left-knee: agent.0}}\n"
        "  agent: {_target_: nodes.arm.Agent, rate: 50}\n"
        "edges:\n  there: {from: world, to: agent}\n  back: {from: agent, to: world, skip: true, delay: 0.001}\n"
    )
    assert main(["record", "conf=lever", "record.steps=60", "action.source=constant", "action.value=9.0"]) == 0
    run = find_run("latest", tmp_path / "outputs")
    assert run.results["world engine"].startswith("MuJoCo")
    assert (run.path / "files/world/lever.urdf").read_text() == URDF
    system = pipeline.build(pipeline.compose("lever"))
    refuse_changed(run, system)
    written(tmp_path, URDF.replace('mass value="1"', 'mass value="2"'), "lever.urdf")
    with pytest.raises(RexError, match=r"node 'world': lever.urdf changed since .* put that back to go on"):
        refuse_changed(run, system)
    assert main(["show", "conf=lever", "nodes.world.model=lever.udf"]) == 2
    assert "there is no such file" in capsys.readouterr().err


@slow
@needs_mujoco
def test_a_name_that_an_element_without_one_would_take_is_refused(tmp_path: Path) -> None:
    text = (
        "<mujoco><worldbody><body><joint name='joint1'/><geom size='0.1'/>"
        "<body><joint {}/><geom size='0.1'/></body></body></worldbody></mujoco>"
    )
    with pytest.raises(RexError, match=r"joint 1 has no name, and would be called 'joint1' as joint 0 is"):
        _ = Model(Path(written(tmp_path, text.format("")))).joints
    assert list(Model(Path(written(tmp_path, text.format("name='other'")))).joints) == ["joint1", "other"]
