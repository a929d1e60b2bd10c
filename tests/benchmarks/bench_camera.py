"""A camera of 640 x 480 x 3 at 30 Hz, recorded on the wall clock for a minute.

    python -m tests.benchmarks.bench_camera [--seconds 60] [--noise 4]

Says how many ticks were missed, how large the file is beside the raw images, how long after the last frame the command
ended, and whether the `mcap` library reads every frame as it was sent. `--noise` is the standard deviation of the
pixels' noise, out of 255: it decides how far images can be compressed at all.

Seen on two cores, 2026-11-27, at a load of 9 by others: 1,800 frames in 60 s, all as they were sent, none missed, 0.937
of raw; the command ended 42 s after the last frame, of which some 15 s were its own CPU: it reads the whole file twice,
for the timeline and for the pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CONF = """
defaults: [base, _self_]
name: camera
clock: wall
supervisor: detector
nodes:
  camera: {_target_: nodes.camera.Camera, rate: 30, noise: 4}
  detector: {_target_: nodes.camera.Detector, rate: 30}
edges:
  camera_detector: {from: camera, to: detector}
"""

NODES = """
import atexit
import time
from pathlib import Path

import numpy as np
from rexcli import Node

cpu = []


@atexit.register
def end():
    if cpu:
        Path("cpu").write_text(str(time.process_time() - cpu[-1]))


def frames(noise, count=16):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:480, 0:640]
    for k in range(count):
        scene = np.stack([x / 640 * 200, y / 480 * 200, (x + y + 3 * k) % 256], axis=-1)
        yield np.clip(scene + rng.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)


class Camera(Node):
    jit = False

    def __init__(self, noise):
        self.frames = list(frames(noise))
        self.last = 0.0

    def init_output(self, rng, graph_state):
        return np.zeros((480, 640, 3), np.uint8)

    def step(self, step_state):
        self.last = time.time()
        return step_state, self.frames[int(step_state.seq) % len(self.frames)]

    def stop(self):
        Path("last").write_text(str(self.last))
        cpu.append(time.process_time())


class Detector(Node):
    jit = False

    def init_output(self, rng, graph_state):
        return np.float32(0)

    def step(self, step_state):
        return step_state, np.float32(step_state.inputs["camera"][-1].data[0, 0, 0])
"""


def read(path: Path, noise: float) -> tuple[int, int]:
    """Frames in the file, by the public reader alone, and how many of them are as they were sent."""
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    scope: dict = {}
    exec(NODES, scope)
    sent = list(scope["frames"](noise))
    found = same = 0
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for _, _, message, decoded in reader.iter_decoded_messages(topics=TOPICS):
            image = np.frombuffer(bytes(decoded.data), np.uint8)
            same += np.array_equal(image.reshape(480, 640, 3), sent[message.sequence % len(sent)])
            found += 1
    return found, same


TOPICS = ["/camera/output"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--noise", type=float, default=4.0)
    given = parser.parse_args()
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in (("conf/camera.yaml", CONF), ("nodes/camera.py", NODES), ("nodes/__init__.py", "")):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text.lstrip())
        command = [sys.executable, "-m", "rexcli", "record", "conf=camera", f"record.seconds={given.seconds}", "--json"]
        command += [f"nodes.camera.noise={given.noise}"]
        done = subprocess.run(
            command, cwd=name, env={**os.environ, "PYTHONPATH": root}, check=True, capture_output=True, text=True
        )
        ended = time.time()
        run = Path(json.loads(done.stdout)["run"])
        file = run / "recording.mcap"
        count, same = read(file if file.is_absolute() else folder / file, given.noise)
        size = (file if file.is_absolute() else folder / file).stat().st_size
        missed = json.loads(done.stdout)["results"].get("missed")
        last = float((folder / "last").read_text())
        print(
            f"frames {count}, of them as sent {same}; missed {missed}; {size / (count * 921600):.3f} of raw; ", end=""
        )
        cpu = float((folder / "cpu").read_text())
        print(f"the command ended {ended - last:.1f} s after the last frame, {cpu:.1f} s of its own CPU")


if __name__ == "__main__":
    main()
