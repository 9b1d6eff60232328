"""Episodes over topics, one after the other: arm, reset, inputs, start, collect, stop, score. It never commands joints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from isthmus.motion import Motion, motion_of
from isthmus.records import Array, Measurement, reorder
from isthmus.robot import Robot
from isthmus_controllers import stl
from isthmus_ros.common import wire
from isthmus_ros.common.history import StateHistory
from isthmus_ros.common.inputs import input_report
from isthmus_ros.evaluation.in_force import commands_in_force
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import RosError
from isthmus_sim.episodes import episode_start, standing_poses
from isthmus_sim.returns import Returns
from isthmus_sim.task import Scorer, Task, Transition

__all__ = ["Course", "RosEpisode"]

_HOME = -1  # `episode_seed` of the home pose
_PATIENCE = 20.0  # s for discovery, arming and standstill
_START = 8.0  # s within which a start must be accepted: whoever was starved refuses it for four
_RESET = 5.0  # s within which the guard must be reset: a state may be late
_STAMP_TOLERANCE = 1000  # ns
_ROUNDING = 1e-9
_MONITOR = 2.0  # s that a monitor may need for what it has heard
_DROPPED = (
    0.05  # share of the commands of an episode that a guard in wall-clock time may drop; beyond it, it is not the policy's episode any more
)
_ONLY = np.array([True])  # of the rows of a batch of one
_LAST = 0.2  # s that the last messages of an episode may take


@dataclass(frozen=True, slots=True)
class RosEpisode:
    """One episode over topics.

    Attributes:
        seed: of its start state and inputs.
        total_reward: undiscounted return of the whole episode, see `isthmus_sim.returns`, from joint states and executed commands.
        success: the task's condition held at the end, and the guard did not stop it.
        steps: control periods until its end.
        stopped_by_guard: cause of the guard's stop, "" if there was none.
        judgement: of the task's specification, None if it has none.
        monitored: interval of robustness that a `monitor_node` had decided on at the end, None if there is none.
        dropped: control periods whose command the guard dropped, too late or too soon after another; it braked, or kept the one before.
        motion: of the executed commands and the measured joints; what the guard cut is not on these topics.
    """

    seed: int
    total_reward: float
    success: bool
    steps: int
    stopped_by_guard: str
    judgement: stl.Judgement | None = None
    monitored: tuple[float, float] | None = None
    dropped: int = 0
    motion: Motion = field(default_factory=lambda: Motion(0))

    @property
    def agrees(self) -> bool:
        """Whether the monitor's interval holds the robustness, and it came to the same verdict; of a run that was cut short it may know none."""
        if self.judgement is None or self.monitored is None:
            return False
        (low, high), robustness = self.monitored, self.judgement.robustness
        if not low - _ROUNDING <= robustness <= high + _ROUNDING:
            return False
        return (low >= 0) == (robustness >= 0) if low >= 0 or high < 0 else self.judgement.early


class Course:
    """One episode after the other on the same nodes.

    Attributes:
        steps: control periods of all episodes so far.
        seconds: that they took, from start to the last state.
    """

    def __init__(
        self,
        link: Link,
        task: Task,
        robot: Robot,
        *,
        wall: bool = False,
        monitored: bool = False,
        prefix: str = "",
        simulated: bool = True,
        parameters: Mapping[str, float] | None = None,
    ) -> None:
        """Drive the nodes that the link reaches.

        Args:
            link: to the nodes.
            task: scores; gives starts and inputs.
            robot: its profile.
            wall: the nodes run in wall-clock time, where commands may come too late; in stepped time every one is executed.
            monitored: a `monitor_node` is among them.
            prefix: of the joints' and frames' names on the robot's topics.
            simulated: there is a `sim_node`, which puts the robot where an episode begins; else it is where it is, and a person arms the guard.
            parameters: physical parameters of the simulation that differ from the task's own.
        """
        self._simulated = simulated
        self._link = link
        self._task = task
        self._robot, self._prefix = robot, prefix
        self._parameters = {name: np.array([value]) for name, value in (parameters or {}).items()}
        self._standing: Mapping[str, Array] = {}
        self._monitored = monitored
        self._wall = wall
        self._period = round(task.contract.control_period * 1e9)  # ns
        bound = stl.BoundSpecification(task.specification, task.contract) if task.specification else None
        self._formula = bound.formula if bound else None
        self._signals = stl.MeasuredSignals(bound, task.contract, robot, 1) if bound else None
        self.steps = 0
        self.seconds = 0.0

    def run(self, seed: int) -> RosEpisode:
        """One episode: reset and arm, inputs, start, collect, stop, score."""
        link, task = self._link, self._task
        inputs = self.prepare(seed)
        if self._monitored:
            self._wait_for_monitor(inputs)
        before = link.number("motion")
        began = time.perf_counter()
        link.insist(lambda: link.trigger("policy/start"), _START)
        limit = 60.0 + 2 * task.episode_steps * task.contract.control_period
        link.until(
            lambda: link.number("motion") > before and self._ended(),
            limit,
            f"episode {seed} did not end within {limit:g} s; guard: {link.status.get('cause') or 'no cause'}",
        )
        self.seconds += time.perf_counter() - began
        link.trigger("policy/stop")
        link.until(lambda: link.status.get("policy") == "idle", _PATIENCE, "the robot did not come to rest after policy/stop")
        if link.status.get("failure"):
            raise RosError(f"policy_node: {link.status['failure']}")
        return self._score(seed, inputs)

    def prepare(self, seed: int) -> Mapping[str, Array]:
        """Have everything ready for `policy/start`; the inputs of the episode, `[1, elements]` per name."""
        stamp = self._begin(seed)
        inputs = self.draw(seed)
        self._publish_inputs(inputs, stamp)
        return inputs

    def draw(self, seed: int) -> Mapping[str, Array]:
        """The inputs of an episode, `[1, elements]` per name; what is measured from now on is in it."""
        start = episode_start(self._task, [seed])
        if self._simulated:
            self._standing = standing_poses(self._task, {**start.parameters, **self._parameters})
        return start.inputs

    def complete(self, measured: Measurement) -> Measurement:
        """Also with the poses of what stands around a simulated robot: it was told where to put them, and no topic says it."""
        return replace(measured, poses={**self._standing, **measured.poses})

    def newest(self) -> Measurement:
        """What the robot has said last; waited for.

        Raises:
            RosError: it says nothing.
        """
        self._link.until(lambda: not self._history().unheard(0), _PATIENCE, "no state of the robot came")
        return self._states([max(self._link.states)])[0]

    def _begin(self, seed: int) -> int:
        """Put the robot at the episode's start with the guard armed; the stamp of its first state, ns.

        Where time passes, an armed robot that is put elsewhere runs away, and its driver is called; so it is disarmed first and armed where it
        starts. In stepped time it may start in motion, where nobody may arm, and nothing is looked at before its first command.
        """
        link = self._link
        if not self._simulated:
            link.forget()
            return link.number("state_stamp")
        if self._wall:
            link.let_go(_PATIENCE)
        stamp = self._reset(seed if self._wall else _HOME)
        link.insist(lambda: link.trigger("guard/reset"), _RESET)
        link.insist(link.arm, _PATIENCE)
        link.forget()
        return stamp if self._wall else self._reset(seed)

    def _reset(self, seed: int) -> int:
        """Stamp of the state after the reset, ns."""
        self._link.set_integer("sim_node", "episode_seed", seed)
        return int(self._link.trigger("sim_node/reset"))

    def _publish_inputs(self, inputs: Mapping[str, Array], stamp: int) -> None:
        """Publish the inputs, `[1, elements]` each, and wait until the policy node has them and a state of this episode."""
        link = self._link
        wanted = input_report("input", inputs)
        for signal in self._task.contract.inputs:
            link.publish_input(signal, inputs[signal.name][0].tolist(), self._robot.base_frame, self._prefix)

        def arrived() -> bool:
            return link.number("state_stamp") >= stamp and all(link.status.get(key) == value for key, value in wanted.items())

        link.until(arrived, _PATIENCE, f"the policy node did not accept the inputs {', '.join(inputs) or '(none)'} of the episode")

    def _wait_for_monitor(self, inputs: Mapping[str, Array]) -> None:
        """Wait until the monitor hears the guard and has the inputs, `[1, elements]` each: it could not tell the first samples otherwise."""
        link = self._link
        wanted = input_report("monitored_input", inputs) | {"listening": "true"}
        link.until(
            lambda: all(link.status.get(key) == value for key, value in wanted.items()),
            _PATIENCE,
            f"the monitor hears no guard/executed, or did not accept the inputs {', '.join(inputs) or '(none)'} of the episode",
        )

    def _ended(self) -> bool:
        link, first = self._link, self._link.number("run_sequence")
        if link.status.get("failure") or link.number("stop_sequence") >= 0:
            return link.status.get("policy") == "idle"
        if first < 0:
            return False
        last = first + self._task.episode_steps - 1
        reached = min((number for number in link.answers if number >= last), default=None)  # nodes that already ran may go on beyond it
        if reached is not None:
            end = wire.nanoseconds_of(link.answers[reached].header.stamp) + self._period - _STAMP_TOLERANCE
            return not self._history().unheard(end)
        if over := link.status.get("policy") == "idle":  # the last command was dropped, or is on its way
            link.spin(_LAST)
        return over

    def _score(self, seed: int, inputs: Mapping[str, Array]) -> RosEpisode:
        link, task = self._link, self._task
        first, stopped = link.number("run_sequence"), link.number("stop_sequence")
        cause = link.status.get("cause", "") if stopped >= 0 and stopped < first + task.episode_steps else ""
        if first < 0:  # stopped on the way to the start pose
            cause = cause or "the policy did not begin to run"
            return RosEpisode(seed, self._stood(inputs), False, 0, cause, self._judged((), inputs, early=True))
        last = first + task.episode_steps - 1
        if cause:  # what was asked for last may have met a guard that had stopped already
            last = stopped if stopped in link.answers else stopped - 1
            if self._wall:  # where what was asked for before that, and first, may have come too late
                last = max((number for number in link.answers if number <= stopped), default=-1)
                first = min((number for number in link.answers if number >= first), default=first)
        if last < first:
            return RosEpisode(seed, self._stood(inputs), False, 0, cause, self._judged((), inputs, early=True))
        share = 0.0 if not self._wall else 1.0 if cause else _DROPPED  # an episode that the guard ended is a failure, whatever it dropped
        commands, times = commands_in_force(link.answers, link.executed, first, last, self._period, share)
        dropped = sum(number not in link.answers for number in range(first, last + 1))
        truth = self._states([*times[:-1], times[-1] - _STAMP_TOLERANCE])
        scorer, returns = Scorer(task, 1), Returns(task, 1)
        success, steps = False, 0
        for number, command in enumerate(commands):
            passed = np.array([(number + 1) * task.contract.control_period])
            transition = Transition(truth[number], truth[number + 1], self._executed(command)[None], inputs, passed)
            outcome = scorer.score(transition)
            if returns.add(outcome)[0]:
                raise RosError(f"the reward of episode {seed} is not finite in control period {number}")
            success, steps = bool(outcome.success[0]), steps + 1
            if task.fallen is not None and task.fallen(transition)[0]:
                success = False
                returns.close(_ONLY)
                break
        if cause:
            returns.charge(_ONLY)
        self.steps += len(commands)
        motion = self._motion(commands[:steps], truth[: steps + 1])
        judgement = self._judged(truth[1 : steps + 1], inputs, early=steps < task.episode_steps)
        total = float(returns.total[0])
        return RosEpisode(seed, total, success and not cause, steps, cause, judgement, self._known_to_monitor(), dropped, motion)

    def _stood(self, inputs: Mapping[str, Array]) -> float:
        """Return of an episode that had no control period: each counts as standing where the robot was seen last, at best as nothing."""
        if not self._link.states:
            raise RosError("no state of the robot came, the episode cannot be scored")
        task, contract = self._task, self._task.contract
        state = self._states([max(self._link.states)])[0]
        rest = np.zeros((1, len(contract.action.elements)))
        if contract.mode == "position":
            rest = state.position[:, [state.joints.index(joint) for joint in contract.action.elements]]
        returns = Returns(task, 1)
        returns.add(Scorer(task, 1).score(Transition(state, state, rest, inputs, np.array([contract.control_period]))))
        returns.charge(_ONLY)
        return min(float(returns.total[0]), 0.0)

    def _motion(self, commands: Sequence[Any], states: Sequence[Measurement]) -> Motion:
        """Figures of executed commands, one per control period, and of the states at the ends of these."""
        contract = self._task.contract
        executed = [self._executed(command) for command in commands]
        velocity = [state.velocity[0, [state.joints.index(joint) for joint in contract.action.elements]] for state in states]
        return motion_of(contract, np.array(executed), velocity=np.array(velocity))

    def _executed(self, command: Any) -> Array:
        """Values of a command in the order of the contract, `[A]`."""
        contract = self._task.contract
        values = getattr(command, wire.COMMANDED.get(contract.mode, contract.mode))
        return reorder(np.array([values]), tuple(command.name), contract.action.elements)[0]

    def _judged(self, states: Sequence[Measurement], inputs: Mapping[str, Array], *, early: bool) -> stl.Judgement | None:
        """The specification, judged on the states at the ends of the control periods."""
        if self._formula is None or self._signals is None:
            return None
        self._signals.reset()
        samples = [self._signals.read(state, inputs) for state in states]
        trace = {name: np.stack([sample[name] for sample in samples], axis=1) for name in self._formula.signals} if samples else {}
        return stl.judge(self._formula, trace, len(samples), early)

    def _known_to_monitor(self) -> tuple[float, float] | None:
        """What the monitor knows of this motion, once it knows all, or after it has had the time to."""
        link = self._link
        if not self._monitored:
            return None
        with contextlib.suppress(RosError):
            link.until(lambda: link.number("monitored_motion") == link.number("motion") and link.status["decided"] == "true", _MONITOR, "")
        if link.number("monitored_motion") != link.number("motion"):
            return -np.inf, np.inf
        return float(link.status["robustness.low"]), float(link.status["robustness.high"])

    def _history(self) -> StateHistory:
        """What the robot has said in this episode."""
        return StateHistory(self._robot, self._prefix, self._link.states.values(), self._link.odometry.values())

    def _states(self, times: Sequence[int]) -> list[Measurement]:
        """The newest state at each time, ns."""
        history = self._history()
        return [self.complete(history.at(time)) for time in times]
