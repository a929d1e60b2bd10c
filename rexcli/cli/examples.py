"""Lists two example command lines for the help of each command. A test runs them all."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "show": (
        ("rex show conf=pendulum", "the system, and what looks wrong with it"),
        ("rex show latest:train", "the story of a run"),
    ),
    "record": (
        ("rex record record.steps=300", "on the simulated clock"),
        ("rex record policy=latest:train clock=wall wall.emulate=true", "in real time, with the declared delays"),
    ),
    "compile": (
        ("rex compile from=latest:record", "the program that plays a recording"),
        ("rex compile compile.ahead=1", "of simulated timelines, with a shorter template"),
    ),
    "rollout": (
        ("rex rollout rollout.num=10000", "10,000 episodes with fresh delays"),
        ("rex rollout policy=latest:train rollout.steps=50", "with a trained policy, 50 steps each"),
    ),
    "train": (
        ("rex train seed=7 ppo.num_seeds=5", "five policies at once"),
        ("rex train -m ppo.lr=1e-4,3e-4 --sort hold", "a sweep: a training for each value, one table"),
    ),
    "import": (
        ("rex import my_bag", "a bag that rex exported"),
        ("rex import log.csv conf=robot", "what conf/robot.yaml says of another program's log"),
    ),
    "eval": (
        ("rex eval latest:train", "from fresh starts, with fresh delays"),
        ("rex eval latest:train eval.episodes=100 seed=1", "other starts and delays, and fewer"),
    ),
    "fit": (
        ("rex fit latest:record", "then: rex train delays=latest:fit"),
        ("rex fit latest:record 'fit.families=[gamma,log_normal]'", "of two families alone"),
    ),
    "identify": (
        ("rex identify latest:record", "the parameters that bring simulation nearest to a recording"),
        ("rex identify latest:record identify.held_out=0.5", "half of it is predicted, not fitted"),
    ),
    "plot": (
        ("rex plot latest:train", "all its pictures again"),
        ("rex plot latest:record dataflow --max-seconds 0.3 --format svg", "one of them, its first 0.3 s"),
    ),
    "report": (
        ("rex report latest:train", "one page of a run"),
        ("rex report latest:train latest:eval --out both.html", "a comparison"),
    ),
    "ls": (
        ("rex ls status=done since=2d --sort started", "what was done in the last two days"),
        ("rex ls 'steps>10' --json", "for a program"),
    ),
    "diff": (
        ("rex diff latest:record latest:train", "what was changed, and what came out"),
        ("rex diff latest:train latest:eval --json", "for a program"),
    ),
    "export": (
        ("rex export latest:record --to parquet", "tables with every value; csv, npz, lerobot likewise"),
        ("rex export latest:record --to rosbag2 --out my_bag", "a ROS 2 bag"),
    ),
    "init": (
        ("rex init my_robot", "a small project of your own"),
        ("rex init swing_up --example pendulum", "a copy of the pendulum"),
    ),
    "new": (
        ("rex new node wheel_motor", "nodes/wheel_motor.py, and the YAML that declares it"),
        ("rex new task reach_goal", "nodes/reach_goal.py"),
    ),
    "doctor": (
        ("rex doctor", "a table, and what to do"),
        ("rex doctor --json", "for a program"),
    ),
}


def epilog(command: str) -> str:
    """Returns the examples of a command, one paragraph each, for the end of its help."""
    lines = [f"{line}  # {what}".replace("[", r"\[") for line, what in EXAMPLES.get(command, ())]
    return "\n\n".join(["Examples:", *lines]) if lines else ""
