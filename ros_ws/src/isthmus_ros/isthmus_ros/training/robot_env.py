"""A robot on ROS 2 as the environment of a training: one row, whose episodes go through `train_node` and the guard.

An episode begins as in an evaluation: reset, arming, inputs, `policy/start`. On a robot that is no simulation a person arms the guard, also again
after each stop, and `policy/start` ramps to the start pose; until then this waits and says for what. An episode begins only when the learner has done
all else and asks for it: where time passes, its first action must follow at once.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.artifact import Artifact
from isthmus.guard import STOP
from isthmus.kinematics import Kinematics
from isthmus.monitors import finite
from isthmus.records import Array, Measurement
from isthmus.timing import steady
from isthmus_policies.environment import LostError
from isthmus_ros.common.history import with_tool
from isthmus_ros.common.lifecycle import without_numbers
from isthmus_ros.evaluation.course import Course
from isthmus_ros.evaluation.graph import robot_nodes, running
from isthmus_ros.evaluation.processes import RosError
from isthmus_ros.training.exchange import ENDED, Channel, measured, observed, packed, unpacked
from isthmus_ros.training.scored import scored
from isthmus_ros.training.train_node import NAME
from isthmus_sim.returns import Returns
from isthmus_sim.task import Scorer, Task, Transition

__all__ = ["RobotEnv"]

_START = 8.0  # s within which a simulated robot must accept a start
_HEARD = 2.0  # s after which a node that has just been started has heard of the guard
_RAMP = 30.0  # s from a start to the first decision
_REST = 20.0  # s for standstill
_ANSWER = 15.0  # s for the next decision: in stepped time the robot waits, in passing time it comes in one period
_ASK = 1.0  # s between two trials to start
_TAKE = 1.0  # s within which the node must take an action
_TRIALS = 5  # to begin an episode of a simulated robot
_CORRECTION = 0.2  # s that a person's correction counts, where one may correct
_RECENT = 20  # episodes by which a policy is judged
_ONLY = np.array([True])  # of the rows of a batch of one
_OVER = "the training is to end"


class RobotEnv:
    """See `TrainingEnv`.

    Attributes:
        num_envs: 1.
        progress: see `TrainingEnv`; nothing depends on it.
        hidden: nothing is drawn, `[1, 0]`.
        diverged: 0; a robot does not explode.
        busy: time passes in an episode that has begun, so what takes longer than a control period would end it.
        episodes: returns, and whether they succeeded and were stopped by the guard, of the newest episodes.
    """

    def __init__(
        self,
        task: Task,
        artifact: Artifact,
        *,
        clock: str = "wall",
        plant: str = "mujoco",
        attach: bool = False,
        corrections: bool = False,
        record: Path | None = None,
        say: Callable[[str], object] = lambda line: None,
        domain_id: int | None = None,
    ) -> None:
        """Start the nodes, or join those that run.

        Args:
            task: scores; gives starts and inputs. Its contract is that of the learner.
            artifact: a policy of that contract; what it decides does not matter.
            clock: "stepped" or "wall"; with `attach` that of the nodes.
            plant: engine behind the topics of a simulated robot.
            attach: a robot, or a `sim_node`, and an inactive or unconfigured `guard_node` run already.
            corrections: a person may take over with commands on `policy/correction`.
            record: path prefix of MCAP traces, one per episode.
            say: told what the training waits for.
            domain_id: ROS domain; None means a free one, or the environment's with `attach`.

        Raises:
            RosError: a node refused, or the task needs what no sensor of the robot says.
        """
        self.num_envs, self.progress, self.diverged = 1, 0.0, 0
        self.hidden = np.zeros((1, 0), dtype=np.float32)
        self.busy = False
        self.episodes: deque[tuple[float, bool, bool]] = deque(maxlen=_RECENT)
        self._task, self._say, self._told = task, say, ""
        with contextlib.ExitStack() as self._stack:
            self._node = self._join(artifact, clock, plant, attach, corrections, record, domain_id)
            self._kinematics = Kinematics(self._robot.urdf_path) if self._robot.base.kind == "fixed" else None
            self._scorer, self._returns = Scorer(task, 1), Returns(task, 1)
            self._check_rewarded()
            self._stack = self._stack.pop_all()
        self._generator = np.random.default_rng(0)
        self._last = {
            signal.name: np.zeros((1, signal.history, *signal.shape), dtype=signal.dtype) for signal in self._task.contract.observation
        }
        self._attached = attach
        self._running, self._run, self._sent, self._motion = False, 0, 0, -1

    def reset(self, *, seed: int) -> tuple[dict[str, Array], dict[str, Any]]:
        """See `TrainingEnv`; nothing new is observed before `begin`."""
        self._generator = np.random.default_rng(seed)
        try:
            if self._running:
                self._send(None)
                while self._running:
                    self._running = self._hear(_REST)[0]["kind"] != ENDED
                self._finish()
            return self._last, {}
        except RosError as error:
            raise LostError(str(error)) from None

    def begin(self, enough: Callable[[], bool] = lambda: False) -> dict[str, Array] | None:
        """See `TrainingEnv`."""
        try:
            return self._last if self._running else self._begin(enough)
        except RosError as error:
            raise LostError(str(error)) from None

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """See `TrainingEnv`; an episode has begun, and info has `executed`, `[1, A]`, SI, where the guard was asked for something else.

        Raises:
            LostError: the nodes do not answer, or one has ended.
        """
        try:
            return self._step(actions)
        except RosError as error:
            raise LostError(str(error)) from None

    @property
    def newest(self) -> list[tuple[float, bool, bool]]:
        """`episodes`; before the first has ended, what the present one has earned."""
        return list(self.episodes) or [(float(self._returns.total[0]), False, False)]

    def close(self) -> None:
        """Bring the robot to rest, disarm a guard that goes on, and end the nodes that were started."""
        with contextlib.suppress(RosError):
            if self._running:
                self._send(None)
                self._finish()
            if self._attached:
                self._link.arm(False)
        self._node.close()
        self._stack.close()

    def _join(
        self, artifact: Artifact, clock: str, plant: str, attach: bool, corrections: bool, record: Path | None, domain_id: int | None
    ) -> Channel:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="training-")))
        policy, place = folder / "policy.isthmus", str(folder / "learner")
        artifact.save(policy)
        listener = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(place)
        listener.listen()
        nodes = {} if attach else robot_nodes(self._task, policy, clock=clock, plant=plant)
        graph = self._stack.enter_context(running(self._task, nodes, clock=clock, attach=attach, domain_id=domain_id))
        self._link, self._robot, self._realtime = graph.link, graph.robot, graph.clock == "wall"
        told: dict[str, Any] = {"policy": str(policy), "clock": graph.clock, "joint_prefix": graph.prefix, "learner": place}
        traces = str(record.resolve()) if record else ""
        told |= {"episode": self._task.episode_steps, "record": traces, "correction_timeout": _CORRECTION * corrections}
        graph.start(NAME, told)
        for name in ("guard_node", NAME):
            graph.bring_up(name)
        self._simulated = self._link.offers("sim_node/reset")
        self._course = Course(self._link, self._task, self._robot, wall=self._realtime, prefix=graph.prefix, simulated=self._simulated)
        return Channel(listener.accept()[0])

    def _begin(self, enough: Callable[[], bool]) -> dict[str, Array] | None:
        """Begin an episode; what the learner decides on first, or None once it is `enough`, after which nothing begins.

        Raises:
            RosError: a simulated robot cannot begin, several times in a row: there is nobody who would do anything about it.
        """
        seed, trials = int(self._generator.integers(2**31)), 0
        while not enough():
            trials += 1
            self._inputs = self._course.prepare(seed)
            try:
                told, arrays = self._start(enough)
                break
            except _NotBegunError as error:
                if self._simulated and trials == _TRIALS:
                    raise RosError(str(error)) from None
                if not (self._simulated or enough()):
                    self._tell(f"the training waits: {error}")
                self._link.spin(_ASK)
                self._link.check()
        else:
            return None
        self._running, self.busy = True, self._realtime
        self._run, self._sent = told["run"], 0
        self._scorer.reset(np.array([0]))
        self._returns = Returns(self._task, 1)
        self._before, self._last = self._measurement(arrays), observed(arrays)
        return self._last

    def _start(self, enough: Callable[[], bool]) -> tuple[dict[str, Any], dict[str, Array]]:
        """Call `policy/start`; the first message of the node, once the robot is at the start pose.

        Raises:
            _NotBegunError: it is refused, the motion has ended before, or nothing may begin any more.
        """
        link, self._motion = self._link, self._link.number("motion")
        while self._received(0.0):  # of a run that somebody else has started
            pass
        try:
            patience = _START if self._simulated else _HEARD
            link.insist(lambda: link.trigger("policy/start"), patience, unless=lambda: _OVER if enough() else "")
        except RosError as error:
            link.check()
            raise _NotBegunError(str(error)) from None
        end = steady() + _RAMP
        while (heard := self._received(0.01)) is None:
            if self._idle():  # whatever it had to tell was sent before
                raise _NotBegunError(link.status.get("failure") or link.status.get("cause") or "the policy did not begin to run")
            link.spin(0.01)
            link.check()
            if enough() or steady() > end:
                link.trigger("policy/stop")
                self._finish()
                raise _NotBegunError(_OVER if enough() else f"the robot was not at the start pose within {_RAMP:g} s")
        told, arrays = heard
        if told["kind"] == ENDED:
            raise _NotBegunError(told["cause"] or link.status.get("failure") or "the run ended before it began")
        return told, arrays

    def _tell(self, reason: str) -> None:
        """Say something, unless it was said last; "" is never said."""
        before, self._told = self._told, without_numbers(reason)
        if self._told not in ("", before):
            self._say(reason)

    def _step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        self._send(np.asarray(actions, dtype=np.float64))
        told, arrays = self._hear(_ANSWER)
        after = self._measurement(arrays)
        stopped = told["rung"] == STOP
        executed = arrays.get("executed")
        transition = Transition(self._before, after, actions if executed is None else executed, self._inputs, self._passed())
        outcome = scored(self._scorer, self._task.name, transition)
        observation = observed(arrays) if told["kind"] != ENDED else self._last
        known = all(finite(values) for values in (outcome.reward, *self._last.values(), *observation.values()))
        invalid = not known or told["decided"] < self._sent or (told["kind"] == ENDED and not stopped)
        if invalid:
            outcome.reward[0] = 0.0
        else:
            self._returns.add(outcome)
        terminated = bool(self._task.fallen(transition)[0]) if self._task.fallen else False
        truncated = not terminated and (told["kind"] != "asked" or invalid)
        self._before = after
        info: dict[str, Any] = {
            "success": outcome.success & ~(stopped | invalid | terminated),
            "rung": np.array([told["rung"]]),
            "diverged": np.array([False]),
            "invalid": np.array([invalid]),
        }
        if executed is not None:
            info["executed"] = executed
        self._last = observation
        if terminated or truncated:
            if told["kind"] == "asked":
                self._send(None)
                self._hear(_REST)
            info["final_obs"], info["_final_obs"] = observation, np.array([True])
            if stopped:
                self._returns.charge(_ONLY)
                info["cause"] = (told["cause"],)
            if stopped or not invalid:
                self.episodes.append((float(self._returns.total[0]), bool(info["success"][0]), stopped))
            self._finish()
            why = self._link.status.get("failure") or told["cause"] or "policy/stop was called"
            why = why if known else "what was measured, or its reward, is not finite"
            self._tell(f"an episode ended, and nothing is learned from its last period: {why}" if invalid else "")
        return observation, outcome.reward, np.array([terminated]), np.array([truncated]), info

    def _finish(self) -> None:
        """Wait for standstill."""
        self._running = self.busy = False
        self._link.until(self._idle, _REST, "the robot did not come to rest after an episode")

    def _idle(self) -> bool:
        """Whether the newest motion is over."""
        return self._link.number("motion") > self._motion and self._link.status.get("policy") == "idle"

    def _send(self, action: Array | None) -> None:
        number = None if action is None else self._sent
        self._sent += action is not None
        with contextlib.suppress(OSError):
            self._node.send(packed({"run": self._run, "number": number}, {} if action is None else {"action": action}), _TAKE)

    def _hear(self, patience: float) -> tuple[dict[str, Any], dict[str, Array]]:
        """The next message of the node about this run.

        Raises:
            RosError: none came within `patience`, s, or a node has ended.
        """
        end = steady() + patience
        while (heard := self._received(0.05)) is None or heard[0]["run"] != self._run:
            self._link.check()
            if steady() > end:
                raise RosError(f"{NAME} has asked nothing for {patience:g} s")
        return heard

    def _received(self, patience: float) -> tuple[dict[str, Any], dict[str, Array]] | None:
        """The next message of the node; None if none came within `patience`, s.

        Raises:
            RosError: none can come.
        """
        try:
            message = self._node.receive(patience)
        except OSError:
            self._link.check()
            raise RosError(f"{NAME} has closed its connection") from None
        return None if message is None else unpacked(message)

    def _measurement(self, arrays: dict[str, Array]) -> Measurement:
        return self._course.complete(with_tool(measured(arrays, self._robot.joint_names), self._robot, self._kinematics))

    def _passed(self) -> Array:
        return np.array([self._sent * self._task.contract.control_period])

    def _check_rewarded(self) -> None:
        """Refuse a task whose reward needs more than the robot tells, before anything moves.

        Raises:
            RosError: the message names what is missing.
        """
        inputs, state = self._course.draw(0), self._course.newest()
        rest = np.zeros((1, len(self._task.contract.action.elements)))
        scored(self._scorer, self._task.name, Transition(state, state, rest, inputs, np.array([self._task.contract.control_period])))
        self._scorer.reset()


class _NotBegunError(RosError):
    """A motion was refused, or has ended before its first decision."""
