"""`isthmus train … --plant ros`: the robot itself, or a simulation behind its topics, as the environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus_cli.console import say
from isthmus_evidence.ros_evaluation import ROS
from isthmus_policies.export import export_graph
from isthmus_policies.learner import Learner, LearnerConfig
from isthmus_policies.outcome import Evaluation
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

if TYPE_CHECKING:
    from isthmus_ros.training.robot_env import RobotEnv

__all__ = ["LEARNERS", "Robot", "chosen_robot", "judge", "robot_environment"]

LEARNERS = ("sac", "dsac-t", "drqv2", "drm", "mentor")
"""Those that decide once per control period and learn from whatever was remembered."""

_ENGINE = "mujoco"  # behind the topics of a simulated robot


@dataclass(frozen=True, slots=True)
class Robot:
    """How a training on ROS runs.

    Attributes:
        clock: "wall" (real time) or "stepped" (a simulated robot waits for the learner); with `attach` that of the nodes counts.
        attach: use the guard and the robot that already run, instead of starting simulated ones.
        corrections: a person may take over with commands on `policy/correction`.
        traces: path prefix of MCAP traces, one per episode; None for none.
    """

    clock: str = "wall"
    attach: bool = False
    corrections: bool = False
    traces: Path | None = None


def chosen_robot(algorithm: str, plant: str, robot: Robot, **others: Any) -> Robot | None:
    """What `--clock`, `--attach`, `--corrections` and `--traces` say; None if `--plant` is no robot on ROS.

    Args:
        algorithm: name of the learner.
        plant: as typed.
        robot: as typed.
        others: option → value, of those that need a simulation of this process; false where they were not given.

    Raises:
        ValueError: options that do not go together.
    """
    if plant != ROS:
        if robot != Robot():
            raise ValueError(f"--clock, --attach, --corrections and --traces go with --plant {ROS}, got --plant {plant}")
        return None
    if algorithm not in LEARNERS:
        raise ValueError(f"--plant {ROS} trains {', '.join(LEARNERS)}, got {algorithm}")
    if robot.clock not in ("wall", "stepped"):
        raise ValueError(f"--clock must be wall or stepped, got {robot.clock!r}")
    if given := [option for option, value in others.items() if value]:
        raise ValueError(f"--plant {ROS} is one robot as it is; leave {', '.join(f'--{option}' for option in given)} out")
    return robot


def on_robot(config: LearnerConfig) -> LearnerConfig:
    """Settings for one robot: a single row."""
    return replace(config, num_envs=1)


def robot_environment(task: Task | SuiteTask, learner: Learner, robot: Robot) -> RobotEnv:
    """The environment of a training on a robot; its nodes run from now on.

    Raises:
        ValueError: a task of an outside suite, or the nodes refuse; the message is theirs.
    """
    if isinstance(task, SuiteTask):
        raise ValueError(f"{task.name!r} runs in a suite's own simulation, so --plant {ROS} cannot be used with it")
    from isthmus_ros.evaluation.processes import RosError
    from isthmus_ros.training.robot_env import RobotEnv

    contract = learner.contract
    nothing = {signal.name: np.zeros((2, signal.history, *signal.shape), dtype=signal.dtype) for signal in contract.observation}
    untrained = export_graph(contract, learner.policy(), nothing)
    try:
        return RobotEnv(
            task,
            untrained,
            clock=robot.clock,
            plant=_ENGINE,
            attach=robot.attach,
            corrections=robot.corrections,
            record=robot.traces,
            say=say,
        )
    except RosError as error:
        raise ValueError(str(error)) from None


def judge(env: RobotEnv) -> Callable[[Any], Evaluation]:
    """Scores by the newest training episodes, exploration and all: a robot's time is too dear for episodes that nothing is learned from."""

    def score(_: Any) -> Evaluation:
        returns, successes, stops = (float(np.mean(column)) for column in zip(*env.newest, strict=True))
        return Evaluation(returns, successes, None, stops)

    return score
