"""Defines a disc pendulum on a DC motor, simulated and real: its sensors, motors, agents and the swing-up task."""

from rexcli.lazy import attach

__getattr__, __all__ = attach(
    __name__,
    {
        "actuator": ["Actuator"],
        "agent": ["Agent", "CameraAgent"],
        "camera": ["Camera"],
        "encoder": ["Encoder"],
        "motor": ["Motor"],
        "sensor": ["Sensor"],
        "simulated_camera": ["SimulatedCamera"],
        "task": ["SwingUp"],
        "world": ["OdeWorld"],
    },
)
