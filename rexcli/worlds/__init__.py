"""Builds worlds from model files: MuJoCo's physics as a node, declared in YAML without code.

MuJoCo and MJX are imported when a world is built, not before: `pip install 'rexcli[mujoco]'`.
"""

from rexcli.worlds.mujoco import Mujoco, State

__all__ = ["Mujoco", "State"]
