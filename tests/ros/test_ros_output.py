"""What a node says never makes it wait: a paused terminal lost an emergency stop, as the log line was written before the robot was braked."""

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from isthmus_ros.common.outlet import Outlet
from isthmus_ros.evaluation.processes import RosError, free_domain, isolated

TALKS = """
import pathlib, sys
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.spin import run_node

class Talking(CarefulNode):
    def __init__(self):
        super().__init__("talking")
        self.count = 0
        self.create_timer(0.01, self.tick)

    def tick(self):
        for _ in range(20):
            self.get_logger().error("x" * 4000)
        self.count += 1
        pathlib.Path(sys.argv[1]).write_text(str(self.count))

    def rest(self):
        self.get_logger().error("the last word")
        return True

sys.exit(run_node(Talking, []))
"""


def filled_pipe():
    """A pipe that nobody reads and that takes nothing more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for size in (64, 1):
        try:
            while True:
                os.write(writing, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(writing, True)
    return reading, writing


def paused_terminal():
    """A terminal in which somebody has typed Ctrl-S."""
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)
    return master, slave


@pytest.mark.ros
@pytest.mark.parametrize("where", [filled_pipe, paused_terminal])
def test_a_node_goes_on_while_nobody_takes_what_it_says(where, tmp_path):
    master, slave = where()
    turns = tmp_path / "turns"
    with isolated(free_domain()) as environment:
        process = subprocess.Popen([sys.executable, "-c", TALKS, str(turns)], env=environment, stdout=slave, stderr=slave)
        try:
            patience = time.monotonic() + 20
            while not turns.exists() or int(turns.read_text() or 0) < 30:  # 2.4 MB of words
                assert time.monotonic() < patience
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()
            os.close(slave)
            os.close(master)


@pytest.mark.ros
@pytest.mark.parametrize("apart", [False, True])
def test_the_last_word_is_out_when_a_node_has_ended(apart, tmp_path):
    file, other = tmp_path / "log", tmp_path / "other"
    with isolated(free_domain()) as environment, file.open("wb") as log, other.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", TALKS, str(tmp_path / "turns")], env=environment, stdout=out if apart else log, stderr=log
        )
        while not file.stat().st_size:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert "the last word" in file.read_text().splitlines()[-1]


PARENT = """
import os, sys, time
from isthmus_ros.evaluation.processes import NodeProcess
node = NodeProcess("sim_node", {"task": "reach"}, os.environ)
while "[INFO]" not in node.log:
    time.sleep(0.05)
print(node._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.ros
def test_a_node_does_not_outlive_the_process_that_keeps_it():
    with isolated(free_domain()) as environment:
        parent = subprocess.Popen([sys.executable, "-c", PARENT], env=environment, stdout=subprocess.PIPE, text=True)
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.kill()
        parent.wait()
        patience = time.monotonic() + 15
        while Path(f"/proc/{child}").exists():
            assert time.monotonic() < patience
            time.sleep(0.05)


def test_a_domain_in_which_a_later_participant_was_left_behind_is_not_free(monkeypatch):
    monkeypatch.setattr("isthmus_ros.evaluation.processes.random.SystemRandom.sample", lambda self, domains, count: [97])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as left:
        left.bind(("", 7400 + 250 * 97 + 10 + 2 * 7))
        with pytest.raises(RosError, match="no ROS domain"):
            free_domain()
    assert free_domain() == 97
    with isolated(97):
        pass


def copied(chunks, kept):
    """What comes out of an outlet to a pipe of one page, which is read only when all chunks have gone in."""
    source, into = os.pipe()
    out, sink = os.pipe()
    fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, 4096)

    def copy():
        Outlet(source, sink, kept).run()
        os.close(sink)

    copying = threading.Thread(target=copy)
    copying.start()
    for chunk in chunks:
        os.write(into, chunk)
        time.sleep(0.01)
    os.close(into)
    came = b"".join(iter(lambda: os.read(out, 4096), b""))
    copying.join()
    os.close(source)
    os.close(out)
    return came


def test_what_is_read_late_comes_out_whole():
    lines = [b"%d%s\n" % (number, b"x" * 999) for number in range(20)]
    assert copied(lines, 2**20) == b"".join(lines)


def test_what_nobody_reads_is_dropped_and_counted():
    lines = [b"%d%s\n" % (number, b"x" * 999) for number in range(20)]
    came = copied(lines, 8000)
    kept = came.count(b"x\n")
    assert 8 <= kept < 20
    assert came.startswith(b"".join(lines[:kept]))
    assert came.splitlines()[-1].startswith(b"[WARN] [isthmus]: %d lines are missing here: nobody read this output for" % (20 - kept))


def test_an_outlet_whose_terminal_has_gone_goes_on_reading():
    source, into = os.pipe()
    out, sink = os.pipe()
    os.close(out)
    copying = threading.Thread(target=Outlet(source, sink).run)
    copying.start()
    for _ in range(100):
        os.write(into, b"x" * 4096)
    os.close(into)
    copying.join(5)
    assert not copying.is_alive()
    os.close(source)
    os.close(sink)
