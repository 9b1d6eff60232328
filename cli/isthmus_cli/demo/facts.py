"""What a demo writes down before it begins: what was asked for, on which machine, and the commands that do the same again."""

from __future__ import annotations

import datetime
import os
import shlex
from pathlib import Path
from typing import Any

from isthmus_evidence.provenance import commit, machine
from isthmus_evidence.reports.demo_files import WORLDS
from isthmus_sim.task import Task

__all__ = ["EPISODE_SEED", "EXCITATION", "PLANTS", "ROBOT", "UNKNOWN", "demo_facts"]

PLANTS = ("mujoco", "pybullet")
ROBOT = {"payload": 1.0, "joint_damping": 2.0}  # kg, N·m·s/rad: what training never saw
UNKNOWN = {"payload": (0.0, 3.0), "joint_damping": (0.0, 10.0)}  # what is searched of it
EXCITATION = 10.0  # s
EPISODE_SEED = 20_000  # of the first evaluated episode, 0.3 m from its goal in reach; the others count up; none is seen in training


def demo_facts(
    task: Task, steps: int, seed: int, out: Path, episodes: int, ros_episodes: int, *, identified: bool = False
) -> dict[str, Any]:
    """Everything that is known before the first stage, as plain data.

    See `isthmus_cli.demo.command.Demo` for the arguments; `identified` says whether the robot is identified, too.
    """
    file = str(out / "train" / "policy.isthmus")
    from_seed = ["--seed", str(EPISODE_SEED)]
    robot = ["--clock", "wall", "--engine", "pybullet", "--parameters", *(f"{name}={value}" for name, value in ROBOT.items())]
    commands = {
        "policy and learning curve": [
            "isthmus",
            "train",
            "sac",
            task.name,
            "--steps",
            str(steps),
            "--seed",
            str(seed),
            "--out",
            str(out / "train"),
        ]
    }
    for plant in PLANTS:
        commands[f"success in {WORLDS[plant]}"] = ["isthmus", "eval", file, "--plant", plant, "--episodes", str(episodes), *from_seed]
    commands["success and times over ROS 2"] = [
        "isthmus",
        "eval",
        file,
        "--plant",
        "ros",
        "--episodes",
        str(ros_episodes),
        *from_seed,
        *robot,
        "--record",
        str(out / "traces" / "robot"),
    ]
    for plant in PLANTS:
        commands[f"the episode shown in {WORLDS[plant]}"] = [
            "isthmus",
            "eval",
            file,
            "--plant",
            plant,
            "--episodes",
            "1",
            *from_seed,
            "--record",
            str(out / "traces"),
        ]
    if identified:
        commands["what the robot carries"] = [
            "isthmus",
            "identify",
            task.name,
            "--log",
            str(out / "traces" / "excitation-000.mcap"),
            "--parameters",
            str(out / "unknown.yaml"),
            "--starts",
            "1",
            "--out",
            str(out / "identified"),
        ]
        simulated = str(out / "gap" / "before" / "simulation")
        commands["the same episodes in MuJoCo, recorded"] = [
            "isthmus",
            "eval",
            file,
            "--episodes",
            str(ros_episodes),
            *from_seed,
            "--record",
            simulated,
        ]
        commands["why both differ"] = ["isthmus", "gap", simulated, str(out / "traces" / "robot"), "--out", str(out / "gap" / "before")]
    return {
        "task": task.name,
        "success_condition": f"{task.success}, in each of the last {task.success_steps} control periods",
        "steps": steps,
        "seed": seed,
        "date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "robot_parameters": {name: [value, task.parameters[name].unit] for name, value in ROBOT.items()},
        "commands": {what: shlex.join(command) for what, command in commands.items()},
        "commit": commit(),
        "machine": {"load before": f"{os.getloadavg()[0]:.2f}", **machine()},
    }
