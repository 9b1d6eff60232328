"""Nodes as child processes, and a part of the network that is theirs alone."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isthmus_ros.common.network import LOOPBACK
from isthmus_ros.common.signals import PARENT, held_back

__all__ = ["NodeProcess", "RosError", "free_domain", "isolated"]

_ON_ITS_WAY = 0.1  # s that a line of a node which runs may take to its log: another process writes it
_PARTICIPANTS = 50  # of a domain that are looked for
_PATIENCE = 15.0  # s from SIGINT to the end of a process
_reserved: dict[int, socket.socket] = {}  # domains that this process keeps others from


class RosError(RuntimeError):
    """Nodes did not do what was asked of them; the message is one sentence for the user."""


def free_domain() -> int:
    """A ROS domain in which no other process of this machine takes part, 1 … 100; nobody else gets it until `isolated` ends, or this process.

    Raises:
        RosError: all of them are taken.
    """
    domains = random.SystemRandom().sample(range(1, 101), 100)
    for domain in domains:
        ports = 7400 + 250 * domain
        reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            reservation.bind(("", ports + 249))  # of the last participant that a domain can have: a lock that dies with this process
            for participant in range(_PARTICIPANTS):  # also the later ones: the first may have gone, and left others
                probe = probes.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                probe.bind(("", ports + 10 + 2 * participant))
            _reserved[domain] = reservation
            return domain
        reservation.close()
    raise RosError("no ROS domain from 1 to 100 is free on this machine")


@contextlib.contextmanager
def isolated(domain: int) -> Iterator[dict[str, str]]:
    """Environment of nodes that only meet each other; also that of this process while it lasts.

    They meet over UDP on this computer alone, not over shared memory: see `loopback.xml`.
    """
    settings = {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",
        "FASTDDS_DEFAULT_PROFILES_FILE": str(LOOPBACK),
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield {**os.environ}
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if reservation := _reserved.pop(domain, None):
            reservation.close()


class NodeProcess:
    """One node in its own process, which ends with this one (with the thread that started it, to be exact).

    A signal to the terminal's processes does not reach it: the one that started it brings it down.

    Attributes:
        name: of the node.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Any],
        environment: Mapping[str, str],
        remappings: Mapping[str, str] | None = None,
        module: str = "",
    ) -> None:
        """Start `python -m isthmus_ros <name>`.

        Args:
            name: of the node and of its module.
            parameters: ROS parameters.
            environment: of the process.
            remappings: topic → topic.
            module: another one to run under this name.
        """
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix=f"{name}-")
        folder = Path(self._folder.name)
        settings = folder / "parameters.yaml"
        settings.write_text(json.dumps({"/**": {"ros__parameters": parameters}}), encoding="utf-8")  # JSON is YAML
        self._log = folder / "log"
        command = [sys.executable, "-m", *([module] if module else ["isthmus_ros", name]), "--ros-args", "--params-file", str(settings)]
        for topic, other in (remappings or {}).items():
            command += ["-r", f"{topic}:={other}"]
        with self._log.open("wb") as log, contextlib.nullcontext() if module else held_back():  # a module of another may not listen
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**environment, PARENT: str(os.getpid())}, start_new_session=True
            )

    @property
    def exit_code(self) -> int | None:
        """Exit code, None while it runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """What the node has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def complaint(self) -> str:
        """The node's last error, else its last warning, else its last line."""
        if self.exit_code is None:
            time.sleep(_ON_ITS_WAY)
        lines = [line for line in self.log.splitlines() if line.strip()]
        for words in (("[ERROR]", "[FATAL]"), ("[WARN]",)):
            if said := [line.partition("]: ")[2] for line in lines if line.startswith(words)]:
                return said[-1]
        return lines[-1] if lines else "it wrote nothing"

    def check(self) -> None:
        """Raise if the process has ended.

        Raises:
            RosError: it has.
        """
        if self.exit_code is not None:
            raise RosError(f"{self.name} ended with exit code {self.exit_code}: {self.complaint}")

    def interrupt(self) -> None:
        """Send SIGINT."""
        self.send(signal.SIGINT)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def end(self) -> int:
        """Send SIGINT, wait and return the exit code; a process that does not end is killed."""
        self.interrupt()
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def clean_up(self) -> None:
        """Remove the log and the parameter file."""
        self._folder.cleanup()
