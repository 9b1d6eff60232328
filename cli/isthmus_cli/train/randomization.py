"""What a training draws for each episode where nobody says anything else: the servos of a robot are never quite those of its profile."""

from __future__ import annotations

from pathlib import Path

from isthmus.robot import load_robot
from isthmus_sim.randomization import Entry, LogUniform, Randomization, Uniform, load_randomization
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

__all__ = ["NONE", "chosen_randomization", "usual_randomization"]

NONE = Path("none")  # what is typed for no randomisation
GAIN = (0.7, 1.4)  # factor on the gains of each servo
LATE = 0.2  # of the control period, by which commands may be delayed, and again by which drives may lag, more than the profile says
DAMPING = 0.1  # of a servo's own velocity gain, on top of the joint's damping
ROTOR = (0.7, 1.4)  # factor on the rotor inertia of each joint


def chosen_randomization(task: Task | SuiteTask, plant: str, typed: Path | None) -> Randomization | None:
    """What `--randomize` says: a file, `none`, or nothing, which means `usual_randomization`.

    Raises:
        ValueError: see `load_randomization`.
        OSError: the file cannot be read.
    """
    if typed == NONE:
        return None
    return usual_randomization(task, plant) if typed is None else load_randomization(typed)


def usual_randomization(task: Task | SuiteTask, plant: str) -> Randomization | None:
    """Servo gain, delay, lag, damping and rotor inertia, as far as the engine can express them; None for an outside suite.

    Each is drawn anew for each episode, gains, damping and rotors for each joint by itself.
    """
    if isinstance(task, SuiteTask) or plant not in ("mujoco", "pybullet"):
        return None
    robot, known = load_robot(task.contract.robot), task.parameters
    entries = []
    for name in ("action_delay", "action_lag"):
        own = known[name].nominal
        entries.append(Entry(name, Uniform(own, own + LATE * task.contract.control_period), "s"))
    for joint in robot.joints if robot.base.kind != "differential" else ():
        damping, rotor = known[f"{joint.name}.damping"], known[f"{joint.name}.armature"]
        if joint.servo.velocity_gain > 0:
            entries.append(
                Entry(damping.name, Uniform(damping.nominal, damping.nominal + DAMPING * joint.servo.velocity_gain), damping.unit)
            )
        if plant == "mujoco":  # PyBullet has neither
            if rotor.nominal > 0:
                entries.append(Entry(rotor.name, Uniform(*(factor * rotor.nominal for factor in ROTOR)), rotor.unit))
            if task.contract.action.source != "joint_effort":  # efforts pass no servo
                entries.append(Entry(f"{joint.name}.gain", LogUniform(*GAIN), "1"))
    return Randomization(tuple(entries))
