"""`isthmus doctor`: what is installed, and whether a policy fits a robot, is fast enough on this machine and does not swing."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from isthmus.artifact import ArtifactError
from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.robot import Robot, load_robot
from isthmus_cli.checks import ABSENT, OK, WRONG, Check
from isthmus_cli.console import say, show_table, write_json
from isthmus_cli.files import check_policy_file, load_artifact
from isthmus_cli.robots import NOT_RUN, robot_folders
from isthmus_evidence.provenance import installed_version
from isthmus_sim.graphics import NO_DRIVER, drawing_problem
from isthmus_sim.plants.loadable_urdf import loadable_urdf
from isthmus_sim.plants.servo_stability import unstable_servos

if TYPE_CHECKING:
    from isthmus_sim.task import Task

__all__ = ["Doctor"]

_REQUIRED = ("numpy", "pyyaml", "onnxruntime", "mcap", "mcap-ros2-support", "tyro", "rich")
_OPTIONAL = {
    "mujoco": "sim",
    "gymnasium": "sim",
    "pybullet": "pybullet",
    "torch": "train",
    "stable-baselines3": "train",
    "tensorboard": "train",
    "onnx": "train",
    "safetensors": "train",
    "scipy": "report",
    "matplotlib": "report",
    "pillow": "report",
    "rclpy": "ros",
    "dm-control": "suites",
    "gymnasium-robotics": "suites",
}
_OLDEST_MUJOCO = (3, 17)
_DECISIONS = 200
_PARITY = "export-parity"  # evidence of the export of a network
_RENDER = """
import os
os.environ.setdefault("MUJOCO_GL", "egl")
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><light pos="0 0 3"/><geom size="1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 48, 64)
renderer.update_scene(data)
assert renderer.render().any(), "the picture is black"
"""


@dataclass(frozen=True, slots=True)
class Doctor:
    """Check this machine and, if one is given, a policy: does it load, does it fit the robot, is it fast enough, do its commands swing.

    The exit code is 1 if anything is wrong; each problem is one line that says what to do.

    Attributes:
        policy: policy file; without it only the machine is checked.
        robot: robot that the policy shall run on; by default the one that it was made for.
        log: recording of the policy, MCAP or a folder of them: its observations are built again from raw signals and compared term by term, and its
            decisions are taken again.
        robots: folder with profiles of your own, NAME/robot.yaml; searched first.
        json: print JSON, a list.
    """

    policy: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[POLICY]")] = None
    robot: str | None = None
    log: Path | None = None
    robots: Path | None = None
    json: bool = False

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown robot, with the known ones; or the policy is no file, with what it is instead.
        """
        if self.policy is not None and not self.policy.is_file():
            check_policy_file(self.policy)
        if self.log is not None and self.policy is None:
            raise ValueError("--log goes with a policy file, which it is compared with")
        folders = robot_folders(self.robots)
        robot = load_robot(self.robot, folders) if self.robot is not None else None
        checks = [*_packages(), *_rendering(), *_ros()]
        if robot is not None and self.policy is None:
            checks += [_servos(robot), _meshes(robot), _interface(robot), _hardware(robot)]
        if self.policy is not None:
            checks += _policy(self.policy, self.robot, folders, self.log)
        wrong = [check for check in checks if check.status == WRONG]
        if self.json:
            write_json(checks)
        else:
            show_table("", ("check", "status", "found"), [(check.name, check.status, check.found) for check in checks])
            for check in wrong:
                say(f"{check.name}: {check.found}; {check.advice}")
            say(f"{len(wrong)} problem(s)" if wrong else "all is well")
        return 1 if wrong else 0


def _packages() -> Iterator[Check]:
    yield Check("python", OK, platform.python_version())
    yield Check("isthmus", OK, installed_version("isthmus"))
    for name in _REQUIRED:
        version = installed_version(name)
        yield Check(name, OK if version else WRONG, version or "not installed", "" if version else f"run: pip install {name}")
    for name, extra in _OPTIONAL.items():
        version = installed_version(name)
        if name == "mujoco" and version and tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_MUJOCO:
            yield Check(name, WRONG, version, "batches need MuJoCo 3.17 or newer; run: pip install 'isthmus[sim]'")
        else:
            yield Check(name, OK if version else ABSENT, version or f"pip install 'isthmus[{extra}]'")


def _rendering() -> Iterator[Check]:
    if importlib.util.find_spec("mujoco") is None:
        return
    error, advice = drawing_problem()
    if not error:
        error, advice = _attempt(_RENDER), NO_DRIVER
    yield Check("rendering", WRONG if error else OK, error or "works without a screen (EGL)", advice if error else "")


def _ros() -> Iterator[Check]:
    if importlib.util.find_spec("rclpy") is None:
        return
    error = _attempt("import rclpy, sensor_msgs.msg")
    advice = "source the setup.bash of your ROS 2 distribution, or run: pip install 'isthmus[ros]'"
    yield Check("ROS 2", WRONG if error else OK, error or "rclpy can be imported", advice if error else "")


def _attempt(program: str) -> str:
    """Last line of what a Python program complained about, "" if it ran; in a process of its own, because a broken driver may crash."""
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, errors="replace", timeout=60)
    except subprocess.TimeoutExpired:
        return "did not end within 60 s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def _policy(path: Path, robot_name: str | None, folders: Sequence[Path], log: Path | None) -> Iterator[Check]:
    try:
        artifact = load_artifact(path)
        policy = artifact.policy()
    except ArtifactError as error:
        yield Check("policy", WRONG, str(error), "use the file as `isthmus train` wrote it")
        return
    contract = artifact.contract
    yield Check("policy", OK, f"{artifact.kind}, digest {artifact.policy_digest[:12]}")
    if isinstance(parity := artifact.evidence.get(_PARITY), dict):
        told = f"differs from the trained network by {parity['difference']:.1e} of an action's range in {parity['samples']} observations"
        yield Check("export", OK if parity["difference"] <= parity["allowed"] else WRONG, told, "export it again")
    try:
        if contract.no_robot:
            raise ValueError(contract.no_robot)
        robot = load_robot(robot_name or contract.robot, folders)
    except ValueError as error:
        advice = "train on a task with a robot" if contract.no_robot else "name a robot with --robot, or a folder of profiles with --robots"
        yield Check("robot", WRONG, str(error), advice)
    else:
        problems = contract.fits(robot)
        for problem in problems:
            yield Check("fit", WRONG, problem, "train for this robot, or choose the right one with --robot")
        if not problems:
            yield Check("fit", OK, f"the policy fits robot {robot.name!r}")
            for line in contract.limits.looser_than(robot.limits()):
                yield Check("limits", OK, f"tighter than in training: {line}")
        yield _servos(robot)
        yield _meshes(robot)
        yield _interface(robot)
        yield _hardware(robot)
    slowest = _inference_time(policy, contract)
    found = f"99th percentile {slowest * 1e3:.3f} ms of a control period of {contract.control_period * 1e3:g} ms"
    fast = slowest < contract.control_period
    yield Check(
        "inference", OK if fast else WRONG, found, "" if fast else "use a faster machine, a smaller policy or a longer control period"
    )
    task = _task_of(contract)
    installed = [plant for plant in task.plants if importlib.util.find_spec(plant) is not None] if task else []
    if task is not None:
        yield from _loop_gains(policy, task)
    if importlib.util.find_spec("scipy") is None:
        return
    from isthmus_cli.input_checks import check_inputs, check_log
    from isthmus_evidence.replay import action_tolerance

    visited = None
    if task is not None and installed and not any(signal.source == "image" for signal in contract.observation):
        from isthmus_cli.loop_gain import visited_states

        visited = visited_states(policy, task, installed[0])
    yield from check_inputs(policy, visited)
    if log is not None:
        yield from check_log(log, policy, load_robot(robot_name or contract.robot, folders), visited, action_tolerance(artifact.kind))


def _task_of(contract: Contract) -> Task | None:
    """The task of ours that a policy was made for; None for any other, or without simulation."""
    if importlib.util.find_spec("gymnasium") is None:
        return None
    from isthmus_evidence.contracts import check_contract, task_for
    from isthmus_sim.tasks import get_task

    try:
        task = task_for(get_task(contract.task), contract)
        check_contract(contract, task)
    except ValueError:
        return None
    return task


def _loop_gains(policy: Policy, task: Task) -> Iterator[Check]:
    """In each installed engine that the task runs on."""
    from isthmus_cli.loop_gain import loop_gain

    for plant in task.plants:
        if importlib.util.find_spec(plant) is None:
            continue
        gain = loop_gain(policy, task, plant)
        found = f"{gain.median:.2f}, median of {gain.states} states; 1 or more in {100 * gain.above_one:.0f} %"
        advice = "its commands swing at the control rate; train with more --temporal-smoothness"
        yield Check(f"loop gain in {plant}", WRONG if gain.median >= 1 else OK, found, advice if gain.median >= 1 else "")


def _servos(robot: Robot) -> Check:
    if unstable := unstable_servos(robot):
        return Check("servos", WRONG, unstable, f"choose smaller gains in {Path(robot.folder) / 'robot.yaml'}")
    return Check("servos", OK, "gains go with the inertias at home and the steps of the physics")


def _meshes(robot: Robot) -> Check:
    try:
        loadable_urdf(robot)
    except ValueError as error:
        return Check("meshes", WRONG, str(error), "no engine simulates it before")
    return Check("meshes", OK, "engines load those for contacts")


def _interface(robot: Robot) -> Check:
    if robot.ros is None:
        return Check(
            "ROS 2 interface",
            NOT_RUN,
            f"robot {robot.name!r} has no ros block in its profile: it runs in simulation, `isthmus deploy` refuses it",
        )
    return Check("ROS 2 interface", OK, f"joint states on {robot.ros.state_topic}")


def _hardware(robot: Robot) -> Check:
    if robot.hardware:
        return Check("hardware", OK, f"{robot.name}: {robot.hardware}")
    return Check("hardware", NOT_RUN, f"nothing of profile {robot.name!r} was run on the real robot, only in simulation")


def _inference_time(policy: Policy, contract: Contract) -> float:
    """99th percentile of the time of one decision, s."""
    observation = {signal.name: np.zeros((1, signal.history, *signal.shape), dtype=signal.dtype) for signal in contract.observation}
    policy.reset(seed=0)
    times = []
    for _ in range(_DECISIONS):
        began = time.perf_counter()
        policy.act(observation)
        times.append(time.perf_counter() - began)
    return float(np.percentile(times[1:], 99))
