"""The README's example of an import works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from rexcli.config.project import Project
from tests.imports.conftest import Import
from tests.imports.foreign import robot_messages, write_bag

README = Path(__file__).parents[2] / "README.md"


def test_the_mapping_of_the_readme(imported: Import, project: Project, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n# conf/robot.yaml\n(.*?)```", README.read_text(), flags=re.S)
    (project.root / "conf" / "robot.yaml").write_text(block)
    messages, true = robot_messages()
    run = imported(write_bag(tmp_path / "my_bag", messages), "conf=robot")
    np.testing.assert_array_equal(run.timeline().messages["imu_agent"].arrive[0], true["received"])
    assert set(run.recording().values("imu", "output")) == {"gyro", "up"}
