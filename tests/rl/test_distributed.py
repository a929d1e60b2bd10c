"""Real processes of this machine, brought together by `jax.distributed`."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rexcli import RexError
from rexcli.config.schema import DistributedConfig
from rexcli.rl.distributed import check
from tests.free_port import free_port

MEET = """
import sys, time
from pathlib import Path
import numpy as np
from rexcli.compiler import backend
from rexcli.config.schema import DistributedConfig
from rexcli.rl.distributed import join

port, index, what, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
backend.prepare(1)
given = ("auto", None, None) if what == "slurm" else (f"127.0.0.1:{port}", 2, index)
with join(DistributedConfig(*given, 20.0)) as group:
    import jax
    assert (group.index, group.count, jax.process_count()) == (index, 2, 2)
    if what == "lose":
        group.send(1 - index, {"here": np.array(1)})
        group.receive(1 - index)
        print("met", flush=True)
        group.receive(1 - index)
    if index == 0:
        from tests.rl.test_checkpoints import make
        from rexcli.rl.checkpoints import load_latest, save
        save(folder, make())
        sent = load_latest(folder).states
        group.send(1, sent)
        back = group.receive(1)
        assert all((back[name] == 2 * sent[name]).all() for name in sent)
    else:
        time.sleep(1)
        group.send(0, {name: 2 * value for name, value in group.receive(0).items()})
print("parted")
"""


@pytest.fixture
def start(tmp_path):
    """Starts a process of `MEET`; whatever still runs at the end is killed."""
    running = []

    def begin(port, index, what="talk"):
        words = [sys.executable, "-c", MEET, str(port), str(index), what, str(tmp_path)]
        where = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        if what == "slurm":  # what srun tells a task
            where |= {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
            where |= {"SLURM_PROCID": str(index), "SLURM_LOCALID": str(index), "JAX_COORDINATOR_PORT": str(port)}
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path, env=where))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("found", ["by address", "slurm"])
def test_processes_talk_and_process_0_saves_without_waiting_for_the_others(start, found):
    port = free_port()
    both = [start(port, index, found) for index in (0, 1)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert (out, err, process.returncode) == ("parted\n", "", 0)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_who_loses_a_process_says_so_in_a_line(start, lost):
    port = free_port()
    both = [start(port, index, "lose") for index in (0, 1)]
    for process in both:
        assert process.stdout.readline() == "met\n"
    both[lost].send_signal(signal.SIGKILL)
    began = time.monotonic()
    _, err = both[1 - lost].communicate(timeout=60)
    assert both[1 - lost].returncode == 1
    assert err.splitlines()[-1].startswith(("error: ", "rexcli.errors.RunError: "))
    assert f"process {lost} is gone" in err.splitlines()[-1]
    assert time.monotonic() - began < 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DistributedConfig(process=1), r"distributed.process=1: .* give distributed.coordinator too"),
        (DistributedConfig(processes=2), r"distributed.processes=2: .* give distributed.coordinator too"),
        (DistributedConfig("here", 2, 0), r"distributed.coordinator=here: give process 0's host:port, or auto"),
        (DistributedConfig("here:1", None, 0), r"distributed.processes is missing: give how many"),
        (DistributedConfig("here:1", 2, None), r"distributed.process is missing: give each its number"),
        (DistributedConfig("here:1", 2, 2), r"distributed.process=2: .* give each a number from 0 to 1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(RexError, match=message):
        check(settings)


def test_a_port_that_is_taken_and_a_host_that_is_none_are_refused():
    from rexcli.rl.distributed import _check_address

    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RexError, match=f"cannot listen on port {port}"):
            _check_address(DistributedConfig(f"127.0.0.1:{port}", 2, 0))
    with pytest.raises(RexError, match=r"host no\.such\.host\.invalid has no address"):
        _check_address(DistributedConfig("no.such.host.invalid:1", 2, 1))
