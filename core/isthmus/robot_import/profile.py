"""Writes `robot.yaml` for a URDF: what it says, and cautious defaults marked `# FILL IN` for what it cannot say."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np

from isthmus.files import write_whole
from isthmus.kinematics import Kinematics
from isthmus.numerals import number_text
from isthmus.robot import Servo, Thresholds
from isthmus.robot.mechanics import SLOW
from isthmus.robot_import.description import DescribedJoint, Description
from isthmus.robot_import.hints import Hints
from isthmus.robot_import.servos import LAG, guess_servos
from isthmus.strict import suggest

__all__ = ["write_profile"]

ROOM = 1.5  # by which thresholds are above what is no fault
RISE = 0.5  # s to full speed at the default acceleration
PERIOD = (0.005, 0.1)  # s


def write_profile(folder: Path, source: str, description: Description, kinematics: Kinematics, hints: Hints) -> list[str]:
    """Write `folder/robot.yaml`.

    Args:
        folder: of the profile; its name is the robot's.
        source: name of the file that was imported, for the record.
        description: what the URDF says.
        kinematics: of the repaired URDF.
        hints: what is known besides.

    Returns:
        one line per value, or group of values, that a person must check or fill in.

    Raises:
        ValueError: a joint that the hints name does not move.
    """
    joints = _commanded(description, hints)
    homes = {joint.name: float(np.clip(hints.home.get(joint.name, 0.0), *joint.position)) for joint in joints}
    tool = description.root if description.floating else description.tool
    servos = guess_servos(kinematics, joints, homes, hints.servos, floating=description.floating)
    lines = [
        f"# Imported from {source} by `isthmus robots import`. Lines marked FILL IN hold cautious defaults: check every one of them.",
        f"name: {folder.name}",
        f"description: {_text(f'{folder.name}, {len(joints)} joints')} # FILL IN: maker, model, reach",
        f"urdf: {folder.name}.urdf",
        f"base_frame: {'odom' if description.floating else _text(description.root)}",
        f"tool_frame: {_text(tool)} # FILL IN: the link that carries the tool; this is {'the root link' if description.floating else 'a guess'}",
        "command_modes: [position, velocity] # FILL IN: what the driver accepts, preferred first",
    ]
    if description.floating:
        height = _height(kinematics, homes)
        lines += [
            "base:",
            "  kind: floating",
            f"  height: {number_text(round(height, 4))} # m, FILL IN: of the root link above the ground in the home pose",
        ]
    lines += [
        f"control_period: [{PERIOD[0]:g}, {PERIOD[1]:g}] # s, FILL IN: shortest and longest period of commands",
        "joints: # FILL IN: their order must be the driver's, this is that of the file",
    ]
    for joint in joints:
        lines += _joint_lines(joint, homes[joint.name], hints, servos[joint.name])
    lines += [
        "monitors:",
        f"  tracking_lag: {LAG:g} # s, FILL IN: by which the measured position lags a commanded velocity",
        *_threshold_lines(joints),
        "workspace_points: [] # FILL IN: links whose origins must stay in a task's workspace box",
        "# FILL IN: topics of the robot's driver; without this block, uncommented, nothing runs over ROS 2 (`isthmus deploy`, `ros2 launch`):",
        "# ros:",
        "#   state_topic: joint_states",
        "#   state_rate: 100 # Hz",
        "#   command_topics: {position: forward_position_controller/commands, velocity: forward_velocity_controller/commands}",
        "#   transports: {trajectory: joint_trajectory_controller/joint_trajectory}",
        "#   transport: trajectory # ends at rest if everything upstream dies; a forward controller keeps its last command",
    ]
    write_whole(folder / "robot.yaml", "\n".join(lines) + "\n")
    return _fill_in(description, joints, hints, tool)


def _commanded(description: Description, hints: Hints) -> list[DescribedJoint]:
    known = {joint.name: joint for joint in description.joints}
    wanted = tuple(known) if hints.joints is None else hints.joints
    for name in wanted:
        if name not in known:
            raise ValueError(f"joint {name!r} does not move; {suggest(name, known)}")
    return [known[name] for name in wanted]


def _joint_lines(joint: DescribedJoint, home: float, hints: Hints, servo: Servo) -> list[str]:
    unit = "m" if joint.type == "prismatic" else "rad"
    missing = {word: ", FILL IN: the file does not say" for word in joint.missing}
    acceleration = joint.velocity / RISE
    lines = [f"  - name: {_text(joint.name)}"]
    if joint.type != "revolute":
        lines.append(f"    type: {joint.type}")
    lines.append(
        f"    home: {number_text(home)} # {unit}" + ("" if joint.name in hints.home else ", FILL IN: a pose that is safe to start from")
    )
    if math.isfinite(joint.position[0]):
        lines.append(
            f"    position: [{number_text(joint.position[0])}, {number_text(joint.position[1])}] # {unit}{missing.get('position', '')}"
        )
    lines += [
        f"    velocity: {number_text(joint.velocity)} # {unit}/s{missing.get('velocity', '')}",
        f"    acceleration: {number_text(acceleration)} # {unit}/s^2, FILL IN: the guard's limit in normal motion",
        f"    stop_acceleration: {number_text(acceleration)} # {unit}/s^2, FILL IN: measured braking with the payload",
        f"    effort: {number_text(joint.effort)} # {'N' if unit == 'm' else 'N*m'}{missing.get('effort', '')}",
    ]
    guess = not hints.servos.get(joint.name, Servo()).position_gain
    gains = ", ".join(f"{word}: {number_text(getattr(servo, word))}" for word in ("armature", "position_gain", "velocity_gain"))
    return [*lines, f"    servo: {{{gains}}}" + (" # FILL IN: gains of the joint's controller, inertia of its rotor" if guess else "")]


def _threshold_lines(joints: list[DescribedJoint]) -> list[str]:
    """Thresholds of the guard's monitors that the usual ones do not fit: the lag at full speed is no fault, and what moves slowly does not rest."""
    usual, speeds = Thresholds(), [joint.velocity for joint in joints]
    lines = []
    if (lag := ROOM * LAG * max(speeds)) > usual.tracking_tolerance:
        lines.append(f"  tracking_tolerance: {number_text(lag)} # rad or m, FILL IN: more than the fastest joint lags at full speed")
    if (tail := ROOM * LAG**2 * max(speeds) / RISE) > usual.runaway_travel:
        lines.append(
            f"  runaway_travel: {number_text(tail)} # rad or m, FILL IN: more than the fastest joint moves after its command rests"
        )
    if (most := SLOW * min(speeds)) < usual.standstill:
        lines.append(
            f"  standstill: {number_text(most / 2)} # rad/s or m/s, FILL IN: at most a fifth of the speed limit of the slowest joint"
        )
    return lines


def _fill_in(description: Description, joints: list[DescribedJoint], hints: Hints, tool: str) -> list[str]:
    lines = [f"tool_frame: {tool} is {'the root link' if description.floating else 'a guess, the end of the longest chain'}"]
    lines.append(
        f"order of joints: {', '.join(joint.name for joint in joints)}, as in the file, which does not say how the driver orders them; "
        "a forward controller that has another order moves the wrong motor"
    )
    lines.append(f"command_modes, control_period: position and velocity every {PERIOD[0]:g} to {PERIOD[1]:g} s is a guess")
    if description.floating:
        lines.append("base.height: guessed from the lowest link origin in the home pose")
    if any(joint.name not in hints.home for joint in joints):
        lines.append("home: 0 of every joint, clipped into its limits")
    for word, default in (("position", "-π … π rad or -0.1 … 0.1 m"), ("velocity", "1 rad/s or m/s"), ("effort", "10 N·m or N")):
        if names := [joint.name for joint in joints if word in joint.missing]:
            lines.append(f"{word}: not in the file for {', '.join(names)}; {default} is assumed")
    lines.append(f"acceleration, stop_acceleration: full speed in {RISE:g} s is assumed; measure the braking")
    if names := [joint.name for joint in joints if not hints.servos.get(joint.name, Servo()).position_gain]:
        every = "every joint" if len(names) == len(joints) else ", ".join(names)
        lines.append(f"servo: gains guessed from the effort and the inertia that the joint moves, with a lag of {LAG:g} s, for {every}")
    thresholds = ", ".join(line.split(":")[0].strip() for line in _threshold_lines(joints))
    monitors = f"monitors: a tracking lag of {LAG:g} s is assumed" + (f"; {thresholds} chosen for its speed limits" if thresholds else "")
    return [*lines, monitors, "workspace_points: none", "description, ros: yours to write"]


def _height(kinematics: Kinematics, homes: dict[str, float]) -> float:
    poses = kinematics.poses(tuple(homes), np.array([list(homes.values())]), kinematics.links)
    return max(0.0, -min(float(pose.position[0, 2]) for pose in poses.values()))


def _text(text: str) -> str:
    """A YAML scalar that is read back as this text."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in (
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "null",
        "y",
        "n",
    )
    return text if plain else json.dumps(text, ensure_ascii=False)
