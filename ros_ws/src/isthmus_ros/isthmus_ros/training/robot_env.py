"""A robot on ROS 2 as the environment of a training: one row, whose episodes go through `train_node` and the guard.

An episode begins as in an evaluation: reset, arming, inputs, `policy/start`. On a robot that is no simulation a person arms the guard, also again
after each stop, and `policy/start` ramps to the start pose; until then this waits and says for what. Where time passes, an episode begins only when
the learner has done all else and asks for it: its first action must follow at once.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.artifact import Artifact
from isthmus.guard import STOP
from isthmus.kinematics import Kinematics
from isthmus.records import Array, Measurement
from isthmus.timing import steady
from isthmus_policies.environment import LostError
from isthmus_ros.common.history import with_tool
from isthmus_ros.common.lifecycle import without_numbers
from isthmus_ros.evaluation.course import Course
from isthmus_ros.evaluation.graph import robot_nodes, running
from isthmus_ros.evaluation.processes import RosError
from isthmus_ros.training.exchange import ENDED, measured, packed, unpacked
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
_TRIALS = 5  # to begin an episode of a simulated robot
_CORRECTION = 0.2  # s that a person's correction counts, where one may correct
_RECENT = 20  # episodes by which a policy is judged
_ONLY = np.array([True])  # of the rows of a batch of one


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
        with contextlib.ExitStack() as stack:
            self._connection = self._join(stack, artifact, clock, plant, attach, corrections, record, domain_id)
            self._kinematics = Kinematics(self._robot.urdf_path) if self._robot.base.kind == "fixed" else None
            self._scorer, self._returns = Scorer(task, 1), Returns(task, 1)
            self._check_rewarded()
            self._stack = stack.pop_all()
        self._generator = np.random.default_rng(0)
        self._last = {
            signal.name: np.zeros((1, signal.history, *signal.shape), dtype=signal.dtype) for signal in self._task.contract.observation
        }
        self._running, self._run, self._sent, self._motion = False, 0, 0, -1

    def reset(self, *, seed: int) -> tuple[dict[str, Array], dict[str, Any]]:
        """See `TrainingEnv`; where time passes, nothing is observed before `begin`."""
        self._generator = np.random.default_rng(seed)
        try:
            if self._running:
                self._send(None)
                while self._running:
                    self._running = self._hear(_REST)[0]["kind"] != ENDED
                self._finish()
            return self._following(), {}
        except RosError as error:
            raise LostError(str(error)) from None

    def begin(self) -> dict[str, Array]:
        """See `TrainingEnv`."""
        try:
            return self._last if self._running else self._begin()
        except RosError as error:
            raise LostError(str(error)) from None

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """See `TrainingEnv`; an episode has begun, and info has `executed`, `[1, A]`, SI, where a person corrected the action.

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
        """Bring the robot to rest and end the nodes that were started."""
        if self._running:
            self._send(None)
        self._stack.close()

    def _join(
        self,
        stack: contextlib.ExitStack,
        artifact: Artifact,
        clock: str,
        plant: str,
        attach: bool,
        corrections: bool,
        record: Path | None,
        domain_id: int | None,
    ) -> Connection:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="training-")))
        policy, socket = folder / "policy.isthmus", str(folder / "learner")
        artifact.save(policy)
        listener = stack.enter_context(Listener(socket, family="AF_UNIX"))
        nodes = {} if attach else robot_nodes(self._task, policy, clock=clock, plant=plant)
        graph = stack.enter_context(running(self._task, nodes, clock=clock, attach=attach, domain_id=domain_id))
        self._link, self._robot, self._realtime = graph.link, graph.robot, graph.clock == "wall"
        told: dict[str, Any] = {"policy": str(policy), "clock": graph.clock, "joint_prefix": graph.prefix, "learner": socket}
        traces = str(record.resolve()) if record else ""
        told |= {"episode": self._task.episode_steps, "record": traces, "correction_timeout": _CORRECTION * corrections}
        graph.start(NAME, told, "isthmus_ros.training.train_node")
        for name in ("guard_node", NAME):
            graph.bring_up(name)
        self._simulated = self._link.offers("sim_node/reset")
        self._course = Course(self._link, self._task, self._robot, wall=self._realtime, prefix=graph.prefix, simulated=self._simulated)
        return stack.enter_context(listener.accept())

    def _following(self) -> dict[str, Array]:
        """What is observed after an episode: where time passes nothing new, until the learner begins the next."""
        return self._last if self._realtime else self._begin()

    def _begin(self) -> dict[str, Array]:
        """Begin an episode; what the learner decides on first.

        Raises:
            RosError: a simulated robot cannot begin, several times in a row: there is nobody who would do anything about it.
        """
        seed, trials = int(self._generator.integers(2**31)), 0
        while True:
            trials += 1
            self._inputs = self._course.prepare(seed)
            try:
                told, arrays = self._start()
                break
            except _NotBegunError as error:
                if self._simulated and trials == _TRIALS:
                    raise RosError(str(error)) from None
                self._wait_for(str(error))
        self._told, self._running, self.busy = "", True, self._realtime
        self._run, self._sent = told["run"], 0
        self._scorer.reset(np.array([0]))
        self._returns = Returns(self._task, 1)
        self._before, self._last = self._measurement(arrays), _observation(arrays)
        return self._last

    def _start(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Call `policy/start`; the first message of the node, once the robot is at the start pose.

        Raises:
            _NotBegunError: it is refused, or the motion has ended before.
        """
        link, self._motion = self._link, self._link.number("motion")
        try:
            link.insist(lambda: link.trigger("policy/start"), _START if self._simulated else _HEARD)
        except RosError as error:
            link.check()
            raise _NotBegunError(str(error)) from None
        end = steady() + _RAMP
        while not self._connection.poll(0.01):
            link.spin(0.01)
            link.check()
            if (self._idle() and not self._connection.poll(0.2)) or steady() > end:
                raise _NotBegunError(link.status.get("failure") or link.status.get("cause") or "the policy did not begin to run")
        told, arrays = self._hear(_ANSWER)
        if told["kind"] == ENDED:
            raise _NotBegunError(told["cause"] or link.status.get("failure") or "the run ended before it began")
        return told, arrays

    def _wait_for(self, reason: str) -> None:
        """Let a person do something about it."""
        if not self._simulated and without_numbers(reason) != self._told:
            self._told = without_numbers(reason)
            self._say(f"the training waits: {reason}")
        self._link.spin(_ASK)
        self._link.check()

    def _step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        self._send(np.asarray(actions, dtype=np.float64))
        told, arrays = self._hear(_ANSWER)
        after = self._measurement(arrays)
        stopped = told["rung"] == STOP
        executed = arrays.get("executed")
        transition = Transition(self._before, after, actions if executed is None else executed, self._inputs, self._passed())
        outcome = self._score(transition)
        invalid = not np.isfinite(outcome.reward[0]) or told["decided"] < self._sent or (told["kind"] == ENDED and not stopped)
        if invalid:
            outcome.reward[0] = 0.0
        else:
            self._returns.add(outcome)
        terminated = bool(self._task.fallen(transition)[0]) if self._task.fallen else False
        truncated = not terminated and (told["kind"] != "asked" or invalid)
        self._before = after
        observation = _observation(arrays) if told["kind"] != ENDED else self._last
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
            observation = self._following()
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
            self._connection.send_bytes(packed({"run": self._run, "number": number}, {} if action is None else {"action": action}))

    def _hear(self, patience: float) -> tuple[dict[str, Any], dict[str, Array]]:
        """The next message of the node.

        Raises:
            RosError: none came within `patience`, s, or a node has ended.
        """
        end = steady() + patience
        while not self._connection.poll(0.05):
            self._link.check()
            if steady() > end:
                raise RosError(f"{NAME} has asked nothing for {patience:g} s")
        try:
            return unpacked(self._connection.recv_bytes())
        except (OSError, EOFError):
            self._link.check()
            raise RosError(f"{NAME} has closed its connection") from None

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
        self._score(Transition(state, state, rest, inputs, np.array([self._task.contract.control_period])))
        self._scorer.reset()

    def _score(self, transition: Transition) -> Any:
        try:
            return self._scorer.score(transition)
        except (KeyError, AssertionError) as error:
            missing = repr(error.args[0]) if isinstance(error, KeyError) else "joint efforts"
            raise RosError(f"task {self._task.name!r} cannot be rewarded on this robot: no topic tells {missing}") from None


class _NotBegunError(RosError):
    """A motion was refused, or has ended before its first decision."""


def _observation(arrays: dict[str, Array]) -> dict[str, Array]:
    return {name.removeprefix("observation/"): values.copy() for name, values in arrays.items() if name.startswith("observation/")}
