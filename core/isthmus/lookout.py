"""Always watching: what the guard looks at on every sample from arming to disarming, whether anything is commanded or not.

Watching is not commanding: nothing is sent from here. What is found is told, and `GuardedStream` acts on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.guard import HOLD, STOP, GuardState, LimitGuard
from isthmus.monitors import RUNAWAY_SHARE, time_out
from isthmus.phases import Phase
from isthmus.records import Array, Measurement, Told, reorder
from isthmus.robotic import Robotic
from isthmus.timing import Timing

__all__ = ["Lookout", "Sight"]

_SILENCE = 1.0  # s at rest without a fresh state, after which nothing is sent any more
_IDLE_TRAVEL = 0.05  # rad or m by which an idle robot may be moved from outside
_IDLE_SHARE = RUNAWAY_SHARE / 2  # likewise, of the range of a joint that slides
_RUNS = "runs away"
_STANDS = 0.5  # s without a way of more than _STIR, after which a robot that has strayed is not watched any more
_STIR = 0.02  # rad or m
_STIR_SHARE = _IDLE_SHARE / 2  # of the range of a joint that slides


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look has found.

    Attributes:
        state: of the guard, with the rung that the monitors ask for.
        stray: why the robot is not where it was left; "" if it is.
        silent: it has been at rest for a second without a fresh state.
        helpless: why commands are not enough to stop it; "" if they are.
        hurry: a hold was asked for, which need not wait for the next command.
    """

    state: GuardState
    stray: str = ""
    silent: bool = False
    helpless: str = ""
    hurry: bool = False


@dataclass(slots=True)
class _Chase:
    """A robot that was let go, watched until it stands, `[1, J]`.

    `origin` is where it was before; None until a sample newer than `stamp` tells, if that one has jumped or was never seen. `place` is where it was
    seen last that it moves, and `since` since when, s.
    """

    origin: Array | None
    place: Array
    since: float
    stamp: float = math.inf

    def stirred(self, stir: Array) -> bool:
        return self.origin is not None and bool((np.nan_to_num(np.abs(self.place - self.origin)[0]) > stir).any())

    def over(self, position: Array, now: float, stir: Array) -> bool:
        if (np.nan_to_num(np.abs(position - self.place)[0]) > stir).any():
            self.place, self.since = position, now
        return now - self.since > _STANDS


class Lookout:
    """Watches one robot in time that passes by itself."""

    def __init__(self, robot: Robotic, guard: LimitGuard, period: float) -> None:
        """Nothing has been seen yet; `period` is the control period, s."""
        self._robot, self._guard, self._period = robot, guard, period
        self._allowed = time_out(period)
        self.begin(-math.inf)

    def begin(self, now: float) -> None:
        """Forget everything: the robot has been armed at `now`, s."""
        self._looked = now
        self._faulty = self._resting = math.inf  # since when
        self._gap = False
        self._origin: Array | None = None
        self._chase: _Chase | None = None

    def let_go(self, now: float) -> None:
        """Nothing is commanded from `now` on, s, though perhaps the robot moves."""
        sample = self._robot.read()
        self._chase = self._chase or _Chase(None, sample.position, now, float(sample.stamp[0]))

    def leave(self) -> None:
        """Nothing is commanded from now on: where the robot is at the next look is where it has to stay."""
        self._origin = None

    def timing(self, since: float, now: float) -> Timing:
        """Times of a look at `now`, be it by a check or by `look`; `since` is the time since the last command, s."""
        looked, self._looked = now - self._looked, now
        return Timing(self._period, since, looked, self._robot.delay + self._robot.age)

    def glance(self, since: float) -> Timing:
        """Times of a judgement between two looks, which the monitors do not take part in; `since` as for `timing`."""
        return Timing(self._period, since, 0.0, self._robot.delay + self._robot.age)

    def told(self) -> Told | None:
        """Where a robot that is sent motions is told to be; None where it is sent single commands."""
        robot, joints = self._robot, self._guard.joints
        if (now := robot.place(joints)) is None:
            return None
        then = robot.place(joints, robot.age + robot.delay if robot.realtime else 0.0)
        return None if then is None else Told(now, then)

    def look(self, state: GuardState, phase: Phase, timing: Timing, now: float) -> Sight:
        """Let every monitor look at the newest sample of an armed robot at `now`, s."""
        robot, guard = self._robot, self._guard
        sample, age, stray, told = robot.read(), robot.age + robot.delay, "", self.told()
        if age > self._allowed:
            state = guard.stop(state, f"the joint state on {robot.state_topic} is {age:.3f} s old, {self._allowed:.3f} s are allowed")
        state, hurry = self._judge_time(guard.watch(state, sample, timing, told), now)
        if alarm := robot.alarm():
            state = guard.stop(state, alarm)
        if self.blind(state):
            self._gap = True
        elif self._gap or (phase is Phase.BRAKING and bool(guard.at_rest(state, sample).all())):
            stray = self._found_again(state, sample, told)
        helpless = ""
        if state.runaway[0]:
            helpless = state.cause[0] if _RUNS in state.cause[0] else f"{state.cause[0]}, and a joint {_RUNS} from its command"
        elif guard.mode == "effort":
            helpless = self._unheld(state, sample)
        if phase is Phase.IDLE and state.rung[0] == HOLD:
            state = guard.stop(state, state.cause[0])  # there is no motion to hold for
        if phase is Phase.IDLE and not stray and not self.blind(state):
            stray = self._moved(sample, now)
        if stray:
            self.let_go(now)
            if guard.mode == "effort":
                helpless = helpless or f"{stray}, and nobody holds a robot whose efforts end"
        return Sight(state, stray, self._silent(state, now), helpless, hurry)

    def blind(self, state: GuardState) -> bool:
        """Whether nobody knows where the robot is: its newest sample is old, by its arrival or its stamp, or cannot be believed."""
        return self._stale(state) or not state.monitors.believed(self._period)[0]

    def _stale(self, state: GuardState) -> bool:
        return self._age(state) > self._allowed

    def _age(self, state: GuardState) -> float:
        """Seconds since the newest sample was taken, by its arrival or its stamp."""
        return float(max(self._robot.age + self._robot.delay, state.monitors.age[0]))

    def _unheld(self, state: GuardState, sample: Measurement) -> str:
        """Why an effort cannot hold the robot, so that its driver has to; "" if it can, or while a hold may still end by itself."""
        if self._stale(state):
            return (
                f"the joint state on {self._robot.state_topic} is {self._age(state):.3f} s old, and an effort cannot hold what is not seen"
            )
        if state.rung[0] < STOP:
            return ""
        lost = state.monitors.unseen[0] > self._allowed
        if lost.any():
            return f"the position of {self._guard.joints[int(lost.argmax())]} is unknown, and an effort cannot hold what is not seen"
        loose = ~np.isfinite(reorder(sample.velocity, sample.joints, self._guard.joints)[0])
        return f"the velocity of {self._guard.joints[int(loose.argmax())]} is unknown, and a hold by effort needs it" if loose.any() else ""

    def after(self, now: float) -> str:
        """Why a robot that strayed, and was let go, is a runaway; "" if it is not."""
        if self._chase is None:
            return ""
        sample = self._robot.read()
        stir = self._travels(sample, _STIR, _STIR_SHARE)
        if self._robot.age + self._robot.delay > self._allowed:
            chase, self._chase = self._chase, None
            return f"the robot moved though nothing was commanded when {self._robot.state_topic} fell silent" if chase.stirred(stir) else ""
        if self._chase.origin is None:
            if sample.stamp[0] > self._chase.stamp:
                self._chase.origin = self._chase.place = sample.position
            return ""
        away = np.nan_to_num(np.abs(sample.position - self._chase.origin)[0])
        allowed = self._travels(sample, self._guard.thresholds.runaway_travel, RUNAWAY_SHARE)
        far = int((away - allowed).argmax())
        if self._chase.over(sample.position, now, stir):
            self._chase = None
        elif away[far] > allowed[far]:
            self._chase = None
            return f"{sample.joints[far]} {_RUNS} though nothing is commanded"
        return ""

    def _judge_time(self, state: GuardState, now: float) -> tuple[GuardState, bool]:
        """A sample whose time is wrong is a hold, and a stop once that lasts for a control period."""
        cause = self._robot.fault()
        self._faulty = min(self._faulty, now) if cause else math.inf
        if not cause:
            return state, False
        lasts = now - self._faulty >= self._period
        return (self._guard.stop if lasts else self._guard.hold)(state, cause), True

    def _found_again(self, state: GuardState, sample: Measurement, told: Told | None) -> str:
        """Why the robot is not where it was told to be, after a gap or at rest; of velocities alone nobody can tell, and an effort forgets."""
        joints = self._guard.joints
        if told is None and not (self._guard.mode == "position" and state.started[0]):
            self._gap = False
            return ""
        place = state.executed if told is None else told.then
        away = np.abs(reorder(sample.position, sample.joints, joints) - place)[0]
        if np.isnan(away).any():
            return ""
        self._gap = False
        far = int(away.argmax())
        if away[far] <= self._guard.thresholds.tracking_tolerance:
            return ""
        unit = self._guard.profile[joints[far]].unit("position")
        return f"{joints[far]} is {away[far]:.3g} {unit} from where it was told to be"

    def _moved(self, sample: Measurement, now: float) -> str:
        """An idle robot that somebody moves is let go, and never pulled back."""
        if not np.isfinite(sample.position).all():
            return ""
        if self._origin is None:
            self._origin = sample.position
        away = np.abs(sample.position - self._origin)[0]
        allowed = self._travels(sample, _IDLE_TRAVEL, _IDLE_SHARE)
        far = int((away - allowed).argmax())
        if away[far] <= allowed[far]:
            return ""
        self._chase = _Chase(self._origin, sample.position, now)
        unit = self._guard.profile[sample.joints[far]].unit("position")
        load = ", by hand or by a load that its profile does not know" if self._guard.mode == "effort" else ""
        return f"{sample.joints[far]} was moved by {away[far]:.2g} {unit} while nothing was commanded{load}"

    def _travels(self, sample: Measurement, travel: float, share: float) -> Array:
        """A travel as it counts for each joint of a sample, `[J]`, rad or m."""
        return np.array([self._guard.profile[joint].within(travel, share) for joint in sample.joints])

    def _silent(self, state: GuardState, now: float) -> bool:
        """A robot that comes back later must not find a command waiting."""
        effort = self._guard.mode == "effort"  # which fades by itself
        over = effort or bool(self._guard.resting(state).all())
        blind = self.blind(state) or (effort and bool((state.monitors.unseen > self._allowed).any()))
        if state.rung[0] < STOP or not blind or not over:
            self._resting = math.inf
            return False
        self._resting = min(self._resting, now)
        return now - self._resting > _SILENCE
