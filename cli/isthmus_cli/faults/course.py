"""Robot, guard and policy as processes of their own over DDS, the link to them and the witness: what every row of the fault table runs on."""

from __future__ import annotations

import contextlib
import functools
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import Trigger

from isthmus_cli.faults.seen import NAN, Seen, letters, stops
from isthmus_cli.faults.subject import Setting, Subject
from isthmus_cli.faults.witness import Witness
from isthmus_ros.common import wire
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated

__all__ = ["Course", "NotReady", "course"]

_PATIENCE = 10.0  # s


class NotReady(RosError):
    """The robot was not brought as far as the fault, or had stopped before, so that there is nothing to be seen."""


@contextlib.contextmanager
def _preparing() -> Iterator[None]:
    """What fails within has failed before any fault."""
    try:
        yield
    except RosError as error:
        raise NotReady(str(error)) from None


class Course:
    """Processes, the link to them and the witness.

    Attributes:
        subject: the robot.
        setting: of the row.
        domain: of ROS.
        nodes: processes by name.
        witness: of what follows.
    """

    def __init__(self, subject: Subject, setting: Setting, domain: int, recipes: Mapping[str, Callable[[], NodeProcess]]) -> None:
        """Start the processes.

        Args:
            subject: the robot.
            setting: of the row.
            domain: of ROS.
            recipes: name of a node → starts its process.
        """
        self.subject, self.setting, self.domain = subject, setting, domain
        self._recipes, self._ended = recipes, list[NodeProcess]()
        self.witness = Witness(domain, subject, setting, listening=("unheard", True) not in setting.options)
        self.nodes = {name: start() for name, start in recipes.items()}
        self._watched = list(self.nodes.values())
        state_topic = subject.robot.ros.state_topic if subject.robot.ros else "joint_states"
        self.link = Link(wire.joined("", state_topic), domain, self._watched)

    @property
    def mode(self) -> str:
        """Command mode of the policy."""
        return self.setting.mode

    @property
    def speed(self) -> float:
        """Of all joints in motion."""
        return self.subject.speed(self.setting)

    @property
    def careful(self) -> list[str]:
        """Nodes that must be configured and activated."""
        return [name for name in ("guard_node", "policy_node") if name in self.nodes]

    def bring_up(self) -> None:
        """Configure and activate guard and policy.

        Raises:
            RosError: one of them refuses; the message is the node's.
        """
        for name in self.careful:
            self.configure(name)
        for name in self.careful:
            self.patiently(functools.partial(self.activate, name))

    def configure(self, name: str) -> None:
        """Configure one node.

        Raises:
            RosError: it refuses.
        """
        if not self.link.transition(name, Transition.TRANSITION_CONFIGURE):
            raise RosError(self.nodes[name].complaint)

    def activate(self, name: str) -> None:
        """Activate one node.

        Raises:
            RosError: it refuses.
        """
        if not self.link.transition(name, Transition.TRANSITION_ACTIVATE):
            raise RosError(self.nodes[name].complaint)

    def fault(self, *entries: str) -> None:
        """Switch exactly these faults of the simulated robot on; `{middle}` and `{wrist}` are joints that move, `{told}` one that its states name.

        Raises:
            RosError: the robot refuses one.
        """
        said = [entry.format(middle=self.subject.middle, wrist=self.subject.wrist, told=self.subject.told) for entry in entries] or [""]
        value = ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=said)
        request = SetParameters.Request(parameters=[Parameter(name="fault", value=value)])
        (result,) = self.link.call(SetParameters, "/sim_node/set_parameters", request).results
        if not result.successful:
            raise RosError(result.reason)

    def reset(self) -> None:
        """Put the robot at home, at rest; external control is given again."""
        self.link.set_integer("/sim_node", "episode_seed", -1)
        self.link.trigger("/sim_node/reset")

    def home(self) -> None:
        """Put the robot at home and clear what an earlier fault has left; what is armed is disarmed."""
        self.fault()
        if "policy_node" in self.nodes:
            with contextlib.suppress(RosError):
                self.link.trigger("policy/stop")
        self.link.spin(0.15)
        self.link.until(lambda: self.link.status.get("policy", "idle") == "idle", _PATIENCE, "the policy does not end its motion")
        standstill = self.subject.robot.monitors.standstill
        self.link.until(lambda: self.witness.speed() < standstill, _PATIENCE, "the robot does not come to rest")
        self.link.let_go(_PATIENCE)  # armed, it would drive the robot back to where it was
        self.reset()
        self.link.spin(0.3)
        self.patiently(lambda: self.link.trigger("guard/reset"))

    def begin(self) -> None:
        """Arm and start."""
        self.home()
        try:  # an active policy answers; one that has lost its guard has deactivated itself
            self.link.trigger("policy/stop")
        except RosError:
            self.link.transition("policy_node", Transition.TRANSITION_DEACTIVATE)
            self.patiently(lambda: self.activate("policy_node"))
        self.link.find(Trigger, "guard/stop")  # who presses it has found the guard before
        self.patiently(self.link.arm)
        self.witness.clear()
        self.patiently(lambda: self.link.trigger("policy/start"))

    def cruise(self) -> None:
        """Begin, and wait until the robot moves at the full speed.

        Raises:
            NotReady: it does not come to that.
        """
        with _preparing():
            self.begin()
            self.moving()

    def moving(self) -> None:
        """Wait until the robot moves at the full speed of its policy."""
        self.link.until(lambda: self.witness.speed() > 0.95 * self.speed, _PATIENCE, f"the robot does not move: {self.link.status}")
        self.link.spin(3 * self.setting.period)

    def after(self, fault: Callable[[], object], seconds: float = 1.4, *, foreign: bool = False) -> Seen:
        """Let a fault happen in motion, and look for a while.

        Raises:
            NotReady: the guard had stopped or held before.
        """
        status = self.witness.statuses[-1][1] if self.witness.statuses else {}
        if status.get("rung") in ("hold", "stop"):
            raise NotReady(f"the guard braked before the fault: {status.get('cause', '')}")
        began = time.monotonic()
        fault()
        self.link.spin(seconds)
        return self.judge(began, foreign=foreign)

    def judge(self, began: float, *, foreign: bool = False) -> Seen:
        """What followed the moment `began`; `foreign` means that others commanded the robot too, or that its joints moved by themselves."""
        witness, subject = self.witness, self.subject
        statuses = [values for moment, values in list(witness.statuses) if moment >= began]
        causes = [values.get("cause", "") for values in statuses if values.get("rung") in ("hold", "stop")]
        events = [name for moment, name in list(witness.events) if moment >= began]
        followed = stops(began, witness.commanded(), witness.motion(), subject.robot.monitors.standstill)
        allowed = NAN
        if np.isfinite(followed.brake):
            braking = float((followed.speed / np.array(subject.limits.stop_acceleration)).max())
            allowed = braking + 2 * self.setting.period + subject.lag(float(followed.speed.max()))
        velocity, acceleration = (NAN, NAN) if foreign else witness.use()
        outcome = letters([values.get("rung", "") for values in statuses], events)
        joints = NAN if foreign else witness.use_of_joints()
        return Seen(outcome, causes[-1] if causes else "", followed.brake, followed.still, allowed, velocity, acceleration, joints)

    def refusal(self, action: Callable[[], object]) -> Seen:
        """What a refusal says; outcome "N" if nothing is refused."""
        self.witness.clear()
        try:
            action()
        except RosError as error:
            self.link.spin(0.3)
            return Seen("R" if not self.witness.received else "R, but commands came", str(error))
        return Seen("N", "not refused")

    def patiently(self, action: Callable[[], object], seconds: float = _PATIENCE) -> None:
        """Try until it is not refused.

        Raises:
            RosError: it still is after `seconds`.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                action()
            except RosError:
                if time.monotonic() > end:
                    raise
            else:
                return
            self.link.spin(0.1)

    def forgo(self, name: str) -> None:
        """From now on the end of that process is no failure."""
        if self.nodes[name] in self._watched:
            self._watched.remove(self.nodes[name])

    def kill(self, *names: str) -> None:
        """SIGKILL."""
        for name in names:
            self.forgo(name)
            self.nodes[name].send(signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Start the process of a node anew, with the same parameters; the old one has ended."""
        self._ended.append(self.nodes[name])
        self.nodes[name] = self._recipes[name]()
        self._watched.append(self.nodes[name])

    def close(self) -> None:
        """End all processes with SIGINT."""
        for node in self.nodes.values():
            node.send(signal.SIGCONT)
            node.interrupt()
        for node in (*self.nodes.values(), *self._ended):
            node.end()
            node.clean_up()
        self.link.close()
        self.witness.close()


@contextlib.contextmanager
def course(
    subject: Subject,
    setting: Setting,
    policy: Path,
    *,
    alone: bool = False,
    unheard: bool = False,  # read by the course itself
    localhost: bool = False,
    simulator: tuple[tuple[str, Any], ...] = (),
    recorder: str = "",
    spoiled: str = "",
    **shared: Any,
) -> Iterator[Course]:
    """The processes of a row, ended with SIGINT.

    Args:
        subject: the robot.
        setting: of the row.
        policy: file.
        alone: there is no policy; an act commands in its place.
        unheard: the witness does not listen to the robot's commands, for rows about who does.
        localhost: nodes are started with a range of discovery for which Fast DDS would take shared memory, as many users have it.
        simulator: parameters of the robot.
        recorder: adds a recorder, with a "roomy" disk or a "small" one, which only root can make.
        spoiled: a fault of `misbehaving`.
        shared: parameters of guard and policy.
    """
    domain = free_domain()
    with isolated(domain) as environment, _disk(small=recorder == "small") as folder:
        known = {"policy": str(policy), "robots_dir": subject.profiles}
        told = {**known, "clock": "wall", "accept_no_deadman": True, **shared}
        engine = "mujoco" if setting.mode == "effort" else "pybullet"  # whose servo does not ring on set-points at 20 Hz
        robot = {"task": subject.task(setting.mode), "plant": engine, "clock": "wall", "transport": setting.transport}
        nodes: dict[str, tuple[dict[str, Any], str]] = {"guard_node": ({**told, "transport": setting.transport}, "")}
        if not alone:
            nodes["policy_node"] = (told, "isthmus_cli.faults.misbehaving" if spoiled else "")
        # As a real controller: nothing ends a motion that nobody ends.
        nodes["sim_node"] = ({**robot, "command_timeout": 0.0, **dict(simulator)}, "")
        if recorder:
            nodes["record_node"] = ({**known, "folder": str(folder), "min_free": 0.0}, "")
        surroundings = {**environment, "POLICY_FAULT": spoiled}
        if localhost:
            surroundings |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "FASTDDS_DEFAULT_PROFILES_FILE": ""}
        found = Course(
            subject,
            setting,
            domain,
            {name: functools.partial(NodeProcess, name, given, surroundings, module=module) for name, (given, module) in nodes.items()},
        )
        try:
            yield found
        finally:
            found.close()


@contextlib.contextmanager
def _disk(*, small: bool) -> Iterator[Path]:
    """A folder; a small one is a file system of 96 kB."""
    with tempfile.TemporaryDirectory() as folder:
        if not small:
            yield Path(folder)
            return
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "none", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
