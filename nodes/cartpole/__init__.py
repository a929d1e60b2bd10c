"""Defines a cart-pole that a camera watches: world, camera, motor, agent, and the swing-up task."""

from rexcli.lazy import attach

__getattr__, __all__ = attach(
    __name__, {"agent": ["Agent"], "camera": ["Camera"], "motor": ["Motor"], "task": ["SwingUp"], "world": ["World"]}
)
