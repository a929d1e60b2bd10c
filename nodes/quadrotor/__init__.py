"""Defines a quadrotor that follows a path: world, inertial unit, motion capture, attitude loop, pilot, and the task."""

from rexcli.lazy import attach

__getattr__, __all__ = attach(
    __name__,
    {
        "attitude": ["Attitude"],
        "imu": ["Imu"],
        "mocap": ["MotionCapture"],
        "pilot": ["Pilot"],
        "task": ["Track"],
        "world": ["World"],
    },
)
