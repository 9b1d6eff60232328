"""Recordings as experience: the transitions of a trace, with the rewards of a task.

A recording has what sensors said. It is rewarded as a robot is: by its measurements, and by the pose of a fixed robot's tool, which joints tell. So
with noise or delay the rewards are those of what was measured. A recording of a simulation also says where it put what never moves. A reward that
needs more cannot be given: that is an error.

A period is left out, and cuts the episode, if nothing was asked in it, if the robot did not get it, if the next measurement came at another time than
one control period later, or if a number is not finite. The last period of a recording has no measurement after it, so it is no transition either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from isthmus.contract import Contract
from isthmus.kinematics import Kinematics
from isthmus.monitors import finite
from isthmus.observation import ObservationBuilder
from isthmus.recording import Trace
from isthmus.records import Array
from isthmus.robot import Robot, load_robot
from isthmus.sequence import sequence_contract
from isthmus_sim.episodes import standing_poses
from isthmus_sim.task import Scorer, Task, Transition

__all__ = ["RecordedEpisode", "check_recorded", "no_transition", "recorded_episodes"]


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """N control periods that followed each other.

    Attributes:
        observation: at the beginning of each, and at the end of the last one, `[N + 1, history, *shape]` per signal.
        action: what the policy asked for, `[N, A]`, SI; where a person corrected it, what was executed.
        reward: `[N]`.
        terminated: whether the task ended the episode with the last period; otherwise only the recording ends there.
    """

    observation: Mapping[str, Array]
    action: Array
    reward: Array
    terminated: bool


def check_recorded(trace: Trace, task: Task) -> None:
    """Refuse a recording of something else. How many actions were decided at once, and whether the previous one was observed, does not matter.

    Raises:
        ValueError: the contracts differ; the message lists the differences.
    """
    recorded, wanted = (sequence_contract(contract, 1) for contract in (trace.contract, task.contract))
    if recorded.digest() != wanted.digest():
        lines = recorded.diff(wanted)
        if recorded.robot != wanted.robot:
            lines = lines[:2]  # for another robot everything differs
        raise ValueError(f"the recording (here) has another contract than task {task.name!r} (there): {'; '.join(lines)}")


def recorded_episodes(trace: Trace, task: Task, contract: Contract) -> list[RecordedEpisode]:
    """The transitions of a recording.

    Args:
        trace: begins with an episode, or with what a robot did before it.
        task: gives rewards and falls.
        contract: what the learner observes: the task's, with or without the previous action.

    Returns:
        the unbroken parts of the recording, in their order.

    Raises:
        ValueError: the recording is of something else, a reward needs what was not recorded, or the recorded observations cannot be rebuilt.
    """
    check_recorded(trace, task)
    episodes: list[RecordedEpisode] = []
    observations: list[Mapping[str, Array]] = []
    actions: list[Array] = []
    rewards: list[float] = []
    for period in _periods(trace, task, contract):
        if not observations:
            observations.append(period.before)
        actions.append(period.action)
        rewards.append(period.reward)
        observations.append(period.after)
        if period.last or period.terminated:
            stacked = {name: np.concatenate([observation[name] for observation in observations]) for name in observations[0]}
            episodes.append(RecordedEpisode(stacked, np.array(actions), np.array(rewards), period.terminated))
            observations, actions, rewards = [], [], []
        if period.terminated:
            break
    return episodes


def no_transition(trace: Trace) -> str:
    """Why a recording without a transition has none; names the topic on which something is missing."""
    if not trace.decisions.size:
        return "nothing was decided (/policy/action is empty)"
    first = int(trace.decisions[0])
    if len(trace) - first < 2:
        return "no measurement follows the first decision (/joint_states ends with it)"
    for topic, values in (("/guard/command", trace.command), ("/guard/executed", trace.executed)):
        if not np.isfinite(values[first:-1]).all(axis=1).any():
            return f"no whole command is on {topic}"
    return f"no two measurements, commanded and finite, are {trace.contract.control_period:g} s apart (/joint_states)"


@dataclass(frozen=True, slots=True)
class _Period:
    """One transition; `last` if what follows it is none."""

    before: Mapping[str, Array]
    after: Mapping[str, Array]
    action: Array
    reward: float
    terminated: bool
    last: bool


def _periods(trace: Trace, task: Task, contract: Contract) -> Iterator[_Period]:
    if not trace.decisions.size:
        return
    first, count = int(trace.decisions[0]), len(trace)
    if "stop" in trace.rungs[first:]:
        count = min(count, trace.rungs.index("stop", first) + 2)  # with the measurement after the stop, if there is one
    steps = np.arange(first, count - 1)
    robot = load_robot(contract.robot)
    told = _with_standing(_with_tool(trace, robot), task)
    measured = [told.measurement(step) for step in range(first, count)]
    observations, times = _observations(trace, contract, robot, first, count)
    late = np.abs(np.diff(trace.stamps[first:count]) - contract.control_period) > contract.control_period / 2
    usable = np.isfinite(trace.command[steps]).all(axis=1) & np.isfinite(trace.executed[steps]).all(axis=1) & ~late
    seen = np.array([all(finite(values) for values in observation.values()) for observation in observations])
    usable &= seen[:-1] & seen[1:]
    actions = np.where(trace.corrected[:, None], trace.executed, trace.command)
    scorer = Scorer(task, 1)
    for index, step in enumerate(steps):
        if not usable[index]:
            continue
        inputs = {name: values[step : step + 1] for name, values in trace.inputs.items()}
        action = actions[step : step + 1]
        transition = Transition(measured[index], measured[index + 1], action, inputs, times[index + 1])
        try:
            reward = float(scorer.score(transition).reward[0])
            terminated = bool(task.fallen(transition)[0]) if task.fallen else False
        except (KeyError, AssertionError) as error:
            missing = error.args[0] if isinstance(error, KeyError) else "joint efforts"
            raise ValueError(f"task {task.name!r} cannot be rewarded from this recording: {missing!r} was not measured") from None
        if not np.isfinite(reward):
            terms = [term.name for term in task.reward if not np.isfinite(term.value(transition)[0])]
            raise ValueError(f"period {step} cannot be rewarded: {', '.join(terms)} is not finite, because something was not measured")
        last = index + 1 == len(steps) or not usable[index + 1]
        yield _Period(observations[index], observations[index + 1], action[0], reward, terminated, last)


def _observations(trace: Trace, contract: Contract, robot: Robot, first: int, count: int) -> tuple[list[dict[str, Array]], list[Array]]:
    """What a policy of that contract saw, or would have seen, in each period, and the time since the beginning.

    Where time passed by itself, the previous action that a policy saw was the newest that it had heard of by then: the recording says which.

    Raises:
        ValueError: it is not what the recording says.
    """
    builder = ObservationBuilder(contract, robot, batch=1)
    decided = {int(step): number for number, step in enumerate(trace.decisions)}
    heard = trace.metadata.get("clock") == "wall"
    previous = {signal.name for signal in contract.observation if heard and signal.source == "previous_action"}
    observations, times = [], []
    for step in range(first, count):
        try:
            builder.push(trace.measurement(step), trace.executed_command(step - 1) if step > first else None)
            built = builder.build({name: values[step : step + 1] for name, values in trace.inputs.items()})
        except KeyError as error:
            raise ValueError(f"the observation cannot be rebuilt: {error.args[0]}") from None
        if step in decided:
            for name, values in trace.observations.items():
                if name in previous:
                    built[name] = values[decided[step]].reshape(built[name].shape)
                elif name in built and not np.array_equal(built[name][0].reshape(values.shape[1:]), values[decided[step]], equal_nan=True):
                    raise ValueError(
                        f"signal {name!r} of period {step} was {values[decided[step]].tolist()}, and is {built[name][0].tolist()} when rebuilt: "
                        "the recording does not begin with an episode, or periods are missing"
                    )
        observations.append(built)
        times.append(builder.time.copy())
    return observations, times


def _with_tool(trace: Trace, robot: Robot) -> Trace:
    """Also with the pose of a fixed robot's tool, by forward kinematics, where it was not measured."""
    tool = robot.tool_frame
    if robot.base.kind != "fixed" or tool in trace.poses:
        return trace
    pose = Kinematics(robot.urdf_path).poses(trace.joints, trace.position, [tool])[tool]
    return replace(trace, poses={**trace.poses, tool: pose.vector()})


def _with_standing(trace: Trace, task: Task) -> Trace:
    """Also with the poses of the bodies that never move, where a simulation was recorded: it says where it put them."""
    if "plant" not in trace.metadata or trace.metadata["plant"] == "ros":
        return trace
    prefix = "parameter."
    given = {name.removeprefix(prefix): np.array([float(value)]) for name, value in trace.metadata.items() if name.startswith(prefix)}
    poses = {name: np.repeat(pose, len(trace), axis=0) for name, pose in standing_poses(task, given).items()}
    return replace(trace, poses={**poses, **trace.poses})
