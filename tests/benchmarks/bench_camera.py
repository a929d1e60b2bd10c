"""A camera of 640 x 480 x 3 at 30 Hz, recorded on the wall clock for a minute.

    python -m tests.benchmarks.bench_camera [--seconds 60] [--noise 4]
    python -m tests.benchmarks.bench_camera --codecs

Says how many ticks were missed, how large the file is beside the raw images, how long after the last frame the command
ended, and whether the `mcap` library reads every frame as it was sent. `--noise` is the standard deviation of the
pixels' noise, out of 255: it decides how far images can be compressed at all.

Seen on two cores, 2026-11-28, nothing else running: 1800 frames in 60 s, all as they were sent, none missed, 0.938 of
raw; the command ended 2.3 s after the last frame, of which 1.3 s its own CPU.

Seen there on 2026-11-27, at a load of 11 by others: 1800 frames in 60 s, all as they were sent, none missed, 0.938
of raw. The command ended 17 to 28 s after the last frame, and took 3.7 s of its own CPU for that, of which 2.3 s draw;
where nothing else runs that is about how long it takes. When the file was read for the timeline and for the pictures it
was 42 s and 15 s of CPU at a load of 9. The timeline of 600 frames takes 0.1 s to read, since images lie in chunks that
are passed over; it took 1.2 s. Writing takes 11 ms of CPU a frame, in a process of its own, with the file's SHA-256.

Compressors, four frames to a chunk: share of raw, and CPU ms a frame to pack and to unpack.

| noise | zstd 1 | zstd 3 | zstd -1 | lz4 |
| --- | --- | --- | --- | --- |
| 0 | 0.458, 2.5, 1.1 | 0.426, 7.7, 1.6 | 0.489, 1.9, 0.6 | 0.745, 1.6, 0.3 |
| 1 | 0.924, 1.7, 1.1 | 0.864, 11.0, 1.6 | 1.000, 0.2, 0.1 | 1.000, 0.6, 0.1 |
| 1, of means of four | 0.844, 3.5, 1.3 | 0.739, 13.1, 2.1 | 0.896, 2.5, 0.6 | 0.936, 1.9, 0.4 |
| 4 | 0.937, 1.6, 1.0 | 0.926, 2.6, 1.2 | 1.000, 0.3, 0.1 | 1.000, 0.5, 0.1 |
| 4, of means of four | 0.928, 2.1, 1.2 | 0.900, 8.2, 1.7 | 1.000, 0.5, 0.1 | 1.000, 0.5, 0.2 |
| 8 | 0.950, 2.3, 1.2 | 0.948, 5.3, 1.5 | 1.000, 0.3, 0.1 | 1.000, 0.5, 0.2 |
| 8, of means of four | 0.937, 2.2, 1.2 | 0.926, 4.9, 1.5 | 1.000, 0.3, 0.1 | 1.000, 0.5, 0.1 |

So recordings are zstd of level 1: 2 ms of the 33 that a frame lasts, and lz4 leaves noise as it is, for 1.5 ms less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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


def codecs() -> None:
    """What compressors make of the frames, four to a chunk, as here: share of raw, and CPU ms a frame in and out."""
    import lz4.frame
    import zstandard

    def level(number: int) -> Callable[[bytes], bytes]:
        return lambda data: zstandard.ZstdCompressor(level=number).compress(data)

    kinds = {f"zstd {number}": (level(number), zstandard.decompress) for number in (1, 3, -1)}
    kinds["lz4"] = (lz4.frame.compress, lz4.frame.decompress)
    scope: dict = {}
    exec(NODES, scope)
    print(" | ".join(["| noise", *kinds]), "|")
    for noise in (0.0, 1.0, 4.0, 8.0):
        for smooth in (False, True) if noise else (False,):
            frames = np.stack(list(scope["frames"](noise, 4)))
            if smooth:  # as a camera interpolates colours, neighbours are alike
                sums = sum(np.roll(frames, (i, j), (1, 2)).astype(np.uint16) for i in (0, 1) for j in (0, 1))
                frames = (sums // 4).astype(np.uint8)
            data = frames.tobytes()
            cells = []
            for pack, unpack in kinds.values():
                packed = pack(data)
                times = [min(_cpu(call, given) for _ in range(3)) for call, given in ((pack, data), (unpack, packed))]
                cells.append(f"{len(packed) / len(data):.3f}, {times[0] / 4e-3:.1f}, {times[1] / 4e-3:.1f}")
            print(" | ".join([f"| {noise:g}{', of means of four' if smooth else ''}", *cells]), "|", flush=True)


def _cpu(call: Callable[[bytes], bytes], data: bytes) -> float:
    began = time.process_time()
    call(data)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--noise", type=float, default=4.0)
    parser.add_argument("--codecs", action="store_true")
    given = parser.parse_args()
    if given.codecs:
        codecs()
        return
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
