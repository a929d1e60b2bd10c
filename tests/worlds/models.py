"""Models of worlds, and what marks the tests that need MuJoCo."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

slow = pytest.mark.slow
needs_mujoco = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs mujoco, an optional extra")

MOVING = """
<mujoco>
  <option timestep="0.002" integrator="RK4"/>
  <worldbody>
    <body name="ball" pos="0 0 5"><freejoint name="ball"/>
      <geom size="0.1" mass="0.5" contype="0" conaffinity="0"/></body>
    <body name="bob">
      <joint name="hinge" axis="0 1 0"/>
      <inertial pos="0 0 -0.5" mass="1" diaginertia="0.02 0.02 0.001"/>
      <site name="tip" pos="0 0 -1"/>
    </body>
  </worldbody>
  <sensor><jointpos name="angle" joint="hinge"/><accelerometer name="felt" site="tip"/></sensor>
</mujoco>
"""
INERTIA, MASS, LENGTH, GRAVITY = 0.02 + 0.25, 1.0, 0.5, 9.81
"""Of the bob: about its axis, kg m^2; kg; from the axis to the centre of mass, m; m/s^2."""

TOUCHING = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 0.1"/>
    <body name="cart" pos="0 0 0.3">
      <joint name="slide" type="slide" axis="1 0 0" frictionloss="0.2" range="-0.3 0.3" limited="true" armature="0.1"/>
      <geom type="box" size="0.1 0.1 0.05" mass="2" contype="0" conaffinity="0"/>
      <body name="pole"><joint name="hinge" axis="0 1 0" damping="0.05"/>
        <geom type="capsule" fromto="0 0 0 0.4 0 0" size="0.03" mass="{mass}"/></body>
    </body>
  </worldbody>
  <tendon><fixed name="belt" limited="true" range="-1 1"><joint joint="slide" coef="3"/></fixed></tendon>
  <actuator>
    <position name="servo" joint="slide" kp="50" kv="4" ctrlrange="-1 1"/><motor name="pull" tendon="belt"/>
  </actuator>
  <keyframe><key name="high" qpos="0.1 -0.5"/></keyframe>
</mujoco>
"""

URDF = """
<robot name="lever">
  <link name="base"/>
  <link name="lever"><inertial><origin xyz="0.2 0 0"/><mass value="1"/>
    <inertia ixx="0.02" iyy="0.02" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="left-knee" type="revolute"><parent link="base"/><child link="lever"/><axis xyz="0 1 0"/>
    <limit lower="-3" upper="3" effort="50" velocity="10"/></joint>
</robot>
"""


def written(folder: Path, text: str, name: str = "world.xml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)
