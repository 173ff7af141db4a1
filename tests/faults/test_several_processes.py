"""Processes that die, are asked to stop, or find each other over TCP: what is left ends soon, and the run goes on."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from interlace.checkpoints import load_checkpoint

pytestmark = pytest.mark.faults
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
RANK_OF = re.compile(r"rank (\d) is (\d+)")


@pytest.fixture(scope="module")
def clips(tmp_path_factory, make_video) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for name in ("dark", "wide"):
        for i in range(5):
            make_video(
                root / name / f"{i}.mp4", num_frames=8 + i, size=(48, 96) if name == "wide" else (48, 64)
            )
    return root


def training(clips: Path, output: Path, *, nodes: int = 1, devices: int = 2, epochs: int = 2) -> list[str]:
    """The command that a process runs; it says its process number first."""
    settings = {
        "output": output, "model": "tin_test_resnet", "pretrained": "false", "num_segments": 4, "image_size": 32,
        "epochs": epochs, "batch_size": 1, "dropout": 0.0, "resume": "true", "optim.batch_norm": "frozen",
        "trainer.devices": devices, "trainer.num_nodes": nodes, "trainer.accelerator": "cpu",
        "trainer.num_workers": 0, "trainer.timeout_minutes": 1, "trainer.checkpoint_minutes": 1e-6,
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    script = (
        "import os, sys; print('rank', os.environ.get('RANK'), 'is', os.getpid(), flush=True); "
        "from interlace.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    return ["--no-python", sys.executable, "-c", script, "train", str(clips), *options]


class Started:
    """A process whose output is kept, and can be waited for."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
        )
        self.text = ""
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                with self._said:
                    self.text += line
                    self._said.notify_all()

    def wait_for(self, pattern: str) -> None:
        with self._said:
            assert self._said.wait_for(lambda: re.search(pattern, self.text), timeout=240), self.text

    def end(self) -> int:
        status = self.process.wait(timeout=240)
        self._reader.join()
        return status

    def close(self) -> None:
        if (
            self.process.poll() is None
        ):  # a test has failed: what it waits for holds the other end of the pipe
            for _, pid in RANK_OF.findall(self.text)[-2:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            self.process.kill()
        self.end()


@contextlib.contextmanager
def started(*commands: list[str]) -> Iterator[list[Started]]:
    running = [Started(command) for command in commands]
    try:
        yield running
    finally:
        for one in running:
            one.close()


def pid_of(rank: int, text: str) -> int:
    return [int(pid) for number, pid in RANK_OF.findall(text) if int(number) == rank][-1]


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (load_checkpoint(folder / "last.safetensors")[0].state_dict() for folder in (one, other))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory) -> Path:
    """A run of two processes that nobody has stopped."""
    output = tmp_path_factory.mktemp("undisturbed") / "run"
    with started([*TORCHRUN, "--nproc-per-node", "2", *training(clips, output)]) as [run]:
        assert run.end() == 0, run.text
    return output


def test_a_killed_process_ends_the_others_and_the_run_goes_on_by_itself(clips, tmp_path, undisturbed):
    output = tmp_path / "run"
    command = [*TORCHRUN, "--nproc-per-node", "2", "--max-restarts", "1", *training(clips, output)]
    with started(command) as [run]:
        run.wait_for("epoch 1/2")
        os.kill(pid_of(1, run.text), signal.SIGKILL)
        assert run.end() == 0, run.text
    assert len(RANK_OF.findall(run.text)) == 4  # two processes, twice
    assert_same_weights(undisturbed, output)


def test_a_killed_process_without_restarts(clips, tmp_path):
    output = tmp_path / "run"
    with started([*TORCHRUN, "--nproc-per-node", "2", *training(clips, output, epochs=500)]) as [run]:
        run.wait_for("epoch 1/500")
        os.kill(pid_of(0, run.text), signal.SIGKILL)
        assert run.end() != 0
    assert (output / "last.ckpt").exists()
    assert "hears no more of another one of 2" in run.text
    assert "interlace/training/run.py" not in run.text  # no traceback of ours


@pytest.mark.parametrize("who", ["torchrun", "rank 1"])
def test_asked_to_stop(clips, tmp_path, who):
    output = tmp_path / "run"
    with started([*TORCHRUN, "--nproc-per-node", "2", *training(clips, output, epochs=500)]) as [run]:
        run.wait_for("epoch 1/500")
        os.kill(run.process.pid if who == "torchrun" else pid_of(1, run.text), signal.SIGTERM)
        assert run.end() != 0
    assert "go on with --resume true" in run.text
    assert (output / "last.ckpt").exists()
    assert not (output / "last.safetensors").exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("backend", ["c10d", "static"])
def test_two_machines_over_tcp(clips, tmp_path, undisturbed, backend):
    port, output = free_port(), tmp_path / "run"
    meeting = [
        ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "7"]
        if backend == "c10d"
        else ["--node-rank", str(node), "--master-addr", "127.0.0.1", "--master-port", str(port)]
        for node in (0, 1)
    ]
    commands = [
        [
            *TORCHRUN,
            "--nnodes",
            "2",
            "--nproc-per-node",
            "1",
            *words,
            *training(clips, output, nodes=2, devices=1),
        ]
        for words in meeting
    ]
    with started(*commands) as machines:
        assert [machine.end() for machine in machines] == [0, 0], [machine.text for machine in machines]
    assert "".join(machine.text for machine in machines).count("epoch 2/2") == 1
    assert_same_weights(undisturbed, output)


@pytest.fixture
def two_networks() -> Iterator[list[list[str]]]:
    """Two network namespaces with a cable between them: prefixes of commands that run in them."""
    if shutil.which("ip") is None:
        pytest.skip("there is no ip command (iproute2)")
    names = [f"interlace{os.getpid()}{side}" for side in "ab"]
    cable = [f"il{os.getpid() % 100000}{side}" for side in "ab"]

    def ip(*words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"ip {' '.join(words)}: {done.stderr.strip()}")

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cable[0], "type", "veth", "peer", "name", cable[1])
        for number, (name, end) in enumerate(zip(names, cable, strict=True), start=1):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
        interfaces = [["env", f"GLOO_SOCKET_IFNAME={end}"] for end in cable]
        yield [["ip", "netns", "exec", name, *env] for name, env in zip(names, interfaces, strict=True)]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_two_machines_on_networks_of_their_own(clips, tmp_path, undisturbed, two_networks):
    output = tmp_path / "run"
    commands = [
        [
            *inside, *TORCHRUN, "--nnodes", "2", "--node-rank", str(node), "--master-addr", "10.77.0.1",
            "--master-port", "29500", "--nproc-per-node", "1", *training(clips, output, nodes=2, devices=1),
        ]
        for node, inside in enumerate(two_networks)
    ]  # fmt: skip
    with started(*commands) as machines:
        assert [machine.end() for machine in machines] == [0, 0], [machine.text for machine in machines]
    assert_same_weights(undisturbed, output)
