"""The guard over a stream of commands: each accepted command is filtered once, and what does not come is braked for.

Nothing here knows ROS, and one thread calls everything. Its phases are those of `isthmus.phases`. In time that passes by itself, `watch` is called
often: a `Lookout` looks at the newest sample whether anything moves or not, and the stream brakes, one control period after the other, whenever no
command may decide or none does. In stepped time each new state is answered once: by the command that was made for it, or by braking.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from isthmus.envelope import FADE
from isthmus.guard import CLAMP, HOLD, NOTHING, STOP, Decision, GuardState, LimitGuard
from isthmus.lookout import Lookout
from isthmus.monitors import time_out
from isthmus.phases import ARMED, Event, Phase, following
from isthmus.records import Array, Command, Told, reorder
from isthmus.robotic import Robotic
from isthmus.rungs import passing
from isthmus.senders import Asked, Gate, Inbox
from isthmus.timing import Timing, steady
from isthmus.trajectory import resting_place

__all__ = ["GuardedStream"]

_LATE = 0.02  # s without a look after which messages that came meanwhile are let in before anything is missed
_FROZEN = 0.15  # s without a look that the guard forgives itself in motion
_MARGIN = 0.010  # s beyond a period that a stream of commands is given before a demand is carried out in its place
_STILL = 2  # control periods at rest in a row that confirm standstill
_ABORT = 5.0  # s on the steady clock without a command in stepped time
_STALLED = 1.0  # s on the steady clock without a new state, after which a stop in stepped time is carried out without one
_UNASKED = 3  # states that may come in stepped time though nothing was sent: a simulated robot may be put elsewhere
_ON_TIME = 0.96  # of a period between two commands, as small a jitter as the limits of what goes over the wire forgive
_GRAIN = 0.4  # of the watch's own period, by which a braking command may come early rather than late


class GuardedStream:
    """Lets the commands of one stream through a guard.

    Attributes:
        phase: of the motion.
        guard: the only one that acts.
        state: the guard's state.
        decision: the newest one; None before the first.
        sequence: number of the newest accepted command; -1 before the first since arming.
        late_looks: how often more than 20 ms passed without a look, while armed.
        turns: how often it was armed, disarmed, stopped or reset: who means to begin sees by it whether somebody has been here.
    """

    def __init__(
        self,
        robot: Robotic,
        guard: LimitGuard,
        period: float,
        *,
        tick: float,
        on_change: Callable[[], None] = lambda: None,
        last_resort: Callable[[str], object] = lambda cause: None,
        clock: Callable[[], float] = steady,
    ) -> None:
        """Begin disarmed.

        Args:
            robot: what is guarded.
            guard: the only one that acts.
            period: control period, s.
            tick: seconds between two calls of `watch`.
            on_change: called when phase or sender have changed.
            last_resort: called with the cause when commands are not enough to stop the robot.
            clock: steady, s.
        """
        self.phase = Phase.DISARMED
        self.guard = guard
        self.state = guard.initial(1)
        self.decision: Decision | None = None
        self.sequence = -1
        self.late_looks = self.turns = 0
        self._inbox = Inbox(period, realtime=robot.realtime)
        self._lookout = Lookout(robot, guard, period)
        self._robot, self._period = robot, period
        self._on_change, self._last_resort, self._clock = on_change, last_resort, clock
        self._allowed, self._early = time_out(period), _GRAIN * tick
        self._accepted = self._acted = self._stopped = self._watched = -math.inf
        self._decided: float | None = None  # at rest there is no motion that the next command could come too soon after
        self._shown = (self.phase, "")
        self._clear()

    def _clear(self) -> None:
        self._urgent = self._hurry = self._waiting = self._helpless = False
        self._pending: Asked | None = None
        self._stamp, self._still, self._ended = -math.inf, 0, ""
        self._newest, self._unasked = self._robot.stamp, 0

    @property
    def gate(self) -> Gate:
        """Who may command, and what was dropped."""
        return self._inbox.gate

    @property
    def armed(self) -> bool:
        """Whether commands may leave."""
        return self.phase in ARMED

    @property
    def rung(self) -> int:
        """The rung of the newest decision while commands leave, else the one that is latched."""
        latched = int(self.state.rung[0])
        return max(latched, int(self.decision.rung[0])) if self.decision is not None and self.armed else latched

    @property
    def cause(self) -> str:
        """Why the guard holds or stops, or has disarmed itself; "" if it does not and has not."""
        decided = self.decision.cause[0] if self.decision is not None and self.armed else ""
        return self.state.cause[0] or self._ended or decided

    @property
    def moving(self) -> bool:
        """Whether the robot is being moved, braked or held."""
        if self.phase is Phase.FOLLOWING:
            return not self._quiet()
        return self.phase in (Phase.HOLDING, Phase.BRAKING, Phase.HELD)

    @property
    def streaming(self) -> bool:
        """Whether commands have been coming in lately, accepted or not, or for a second though nothing was armed."""
        return self._inbox.streaming(self._clock())

    def arm(self) -> None:
        """Let the commands of the next sender that has not been heard yet through; in passing time, send the robot's rest."""
        self._calm()
        if self._goal(Event.ARM) is None:
            return
        self._inbox.open()  # before anybody is told: whoever reads "armed" must not read the sender of the time before
        self.turns += 1
        before, self.state = self.state, self.guard.arm(self.guard.reset(self.state))
        if self._robot.realtime and self.guard.mode == "position" and before.started[0]:
            self.state = self._resting_from(before.executed)
        self.decision, self.sequence = None, -1
        self._clear()
        self._watched = self._clock()
        self._lookout.begin(self._watched)
        self._robot.begin()
        self._go(Event.ARM)
        if self._robot.realtime:
            self._rest()

    def _resting_from(self, told: Array) -> GuardState:
        """The state of a robot that goes on from where it was told to be."""
        sample = self._robot.read()
        measured = reorder(sample.position, sample.joints, self.guard.joints)
        if not np.isfinite(measured).all():
            return self.state
        place = resting_place(measured, told, self.guard.wire_limits)
        return dataclasses.replace(self.state, executed=place, started=np.ones_like(self.state.started))

    def disarm(self) -> None:
        """Send nothing any more; only from the phases that `isthmus.phases` allows."""
        self._calm()
        self.turns += 1
        self._leave(Event.DISARM)

    def reset(self) -> None:
        """Forget the latch; nothing is armed."""
        self._calm()
        self.turns += 1
        if self._goal(Event.RESET) is not None:
            self.state = self.guard.reset(self.state)
            self.decision, self._ended = None, ""
            self._go(Event.RESET)

    def hold(self, cause: str) -> None:
        """Brake and hold until five good commands have come."""
        self.state = self.guard.hold(self.state, cause)
        self._hurry = True
        self._settle()

    def stop(self, cause: str) -> None:
        """Brake and latch, also where nothing is armed."""
        self.state = self.guard.stop(self.state, cause)
        self._settle()

    def ignore(self, reason: str) -> None:
        """Count a message on the command topic that cannot be judged."""
        self._inbox.ignore(reason, self._clock(), armed=self.armed)

    def accept(self, *asked: Asked) -> None:
        """Filter the newest of the commands that have come together, or drop and count it: unarmed, stopped, or not let in by the gate.

        The others are dropped, as lost time is not made up; but each is judged by who sends it.
        """
        now = self._clock()
        self._inbox.put(asked, now, armed=self.armed)
        if not (self._robot.realtime and self.armed and now - self._watched > _LATE):  # else states of that time come first
            self._take(now)

    def _take(self, now: float) -> None:
        for asked, overtaken in self._inbox.take():
            self._admit(asked, now, overtaken=overtaken)

    def _admit(self, asked: Asked, now: float, *, overtaken: bool) -> None:
        if not self.armed or self.state.rung[0] == STOP:
            self.gate.drop("stopped" if self.state.rung[0] == STOP else "unarmed")
            return
        verdict = self.gate.judge(asked, now, overtaken=overtaken)
        if verdict.stop:
            self.stop(verdict.stop)
        if verdict.dropped:
            return
        self.sequence, self._accepted = asked.sequence, now
        self._go(Event.COMMAND)
        if self._robot.realtime:
            self._judge(asked.command)
        else:
            self._pending = asked
            self.step()

    def step(self) -> None:
        """Answer the newest state in stepped time, once: with the command that was made for it, or by braking after a stop."""
        if self._robot.realtime or not self.armed:
            return
        self._doubt()
        if self._robot.stamp <= self._stamp:
            return
        if self.state.rung[0] == STOP:
            self._brake()
        elif self._pending is not None and self._pending.stamp == self._robot.stamp:
            command, self._pending = self._pending.command, None
            self._judge(command)

    def _doubt(self) -> None:
        """A robot whose states come without being asked for is not stepped, and must be watched otherwise."""
        if self._robot.stamp != self._newest:
            self._newest, self._unasked = self._robot.stamp, self._unasked + 1
        if self._unasked > _UNASKED:
            self.stop("states come though nothing was sent: this robot's time passes by itself, so the clock must be wall, not stepped")

    def watch(self) -> None:
        """Look at the newest sample and at what is missing; brake or send again what is due."""
        now = self._clock()
        slept, self._watched = now - self._watched, now
        if not self.armed:
            if cause := self._lookout.after(now):
                self.stop(cause)
                self._last_resort(cause)
        elif not self._robot.realtime:
            if self.moving and now - max(self._accepted, self._acted) > _ABORT:
                self.stop(f"no command within {_ABORT:g} s")
            self.step()
            self._insist(now)
        else:
            self.late_looks += slept > _LATE
            if self.moving and slept > _FROZEN:
                self.stop(f"the guard itself did not run for {slept:.2f} s")
            self._waiting = slept > _LATE and not self._waiting
            if not self._waiting:
                self._look(now)
                self._take(now)
                self._tend(now)

    def _insist(self, now: float) -> None:
        """Carry out a stop in stepped time though no state comes: perhaps time passes by itself, and the robot goes on.

        A position, or a motion that was sent as a whole, rests by itself; where in it the robot is, nobody knows. An effort has faded after a second.
        """
        patience = self._period if self._helpless else _STALLED
        if not self.armed or self.state.rung[0] < STOP or now - max(self._acted, self._stopped) <= patience:
            return
        if bool(self.guard.resting(self.state).all()):
            self._leave(Event.SILENCE)
            return
        if not self._helpless:
            self._helpless = True
            self._last_resort(f"no new state came within {_STALLED:g} s after a stop")
        faded = self.guard.mode == "effort" and float(self.state.monitors.unseen.min()) > self._allowed + FADE
        if self.guard.mode == "position" or self._lookout.told() is not None or faded:
            self._leave(Event.SILENCE)
        else:
            self._judge(None)

    def _look(self, now: float) -> None:
        timing = self._lookout.timing(self._since(now), now)
        seen = self._lookout.look(self.state, self.phase, timing, now)
        self.state = seen.state
        self._hurry |= seen.hurry
        if seen.helpless and not self._helpless:
            self._helpless = True
            self._last_resort(seen.helpless)
        self._settle()
        if seen.stray:
            self._ended = f"disarmed: {seen.stray}"
            self._leave(Event.STRAY)
        elif seen.silent:
            self._leave(Event.SILENCE)

    def _tend(self, now: float) -> None:
        """Brake or send again what is due."""
        due = now - self._acted >= self._period - self._early
        if self.phase in (Phase.BRAKING, Phase.HELD):
            if due or self._urgent:  # a stop is not put off to the end of a period: what is left of it is braked less
                self._brake()
        elif self.phase is Phase.IDLE:
            if due:
                self._rest()
        elif self.phase in (Phase.FOLLOWING, Phase.HOLDING):
            if now - self._accepted > self._allowed:
                self._miss(due)
            elif self._hurry and now - self._acted > min(self._period + _MARGIN, self._allowed):
                self._judge(None)
        if self.guard.mode == "velocity" and self.phase in (Phase.FOLLOWING, Phase.HOLDING, Phase.BRAKING):
            self._keep()

    def _keep(self) -> None:
        """Judge the velocity in force once more: nobody knows when the next command comes. Motions that were sent as a whole rest by themselves."""
        if self._lookout.told() is None:
            now = self._clock()
            command, self.state = self.guard.again(self.state, self._robot.read(), self._lookout.glance(self._since(now)))
            if command is not None and self.decision is not None:
                self._decided = now
                rung = np.maximum(self.decision.rung, CLAMP)
                self.decision = dataclasses.replace(self.decision, command=command, rung=rung)
                self._send(command)

    def _miss(self, due: bool) -> None:
        """No command has come in time: at rest that is the end of a motion, otherwise it is braked for."""
        self._calm()
        if self.phase is not Phase.IDLE and due:
            dropped = f"; what came is {self.gate.reason}" if self.streaming and self.gate.reason else ""
            self.state = self.guard.hold(self.state, f"no command came within {self._allowed:.3f} s{dropped}")
            self._judge(None)

    def _calm(self) -> None:
        """A motion that has come to its end is none any more."""
        if self.phase is Phase.FOLLOWING and self._quiet():
            self._go(Event.QUIET)
            self._lookout.leave()

    def _quiet(self) -> bool:
        """Whether nothing is asked for any more, at rest; in stepped time, in which no newer sample would come, that of the command."""
        if self._robot.realtime:
            return self._clock() - self._accepted > self._allowed and self._at_rest()
        return self._at_rest() if self.guard.mode == "effort" else bool(self.guard.resting(self.state).all())

    def _brake(self) -> None:
        self._urgent = False
        self._judge(None)
        seen = not self._robot.realtime or not self._lookout.blind(self.state)
        self._still = self._still + 1 if seen and self._at_rest() else 0
        if self._still >= _STILL:
            self._leave(Event.STANDSTILL)

    def _rest(self) -> None:
        """Send the robot's rest again; an effort is decided anew, as it must follow the robot."""
        if self.decision is not None and self.decision.command is not None and self.guard.mode != "effort":
            self._acted = self._clock()
            self._send(Command(self.guard.mode, self.guard.joints, self.state.executed))
            return
        self._judge(None, resting=True)

    def _at_rest(self) -> bool:
        """Whether the robot stands still; where commands tell, they must have come to rest, too."""
        sample = self._robot.read()
        rest = self.guard.still(sample) if self.guard.mode == "effort" else self.guard.at_rest(self.state, sample)
        return bool(rest.all())

    def _judge(self, command: Command | None, *, resting: bool = False) -> None:
        """Let the guard decide, on a command or on none, and send that; while `resting`, to be asked for nothing is no reason to hold."""
        now = self._clock()
        self._hurry = False
        self._stamp = self._robot.stamp
        try:
            self.decision, self.state = self.guard.check(self.state, command, self._robot.read(), *self._timing(command, now))
        except ValueError as error:  # nothing was sent since arming, and where the robot is, is unknown
            self.state = self.guard.stop(self.state, str(error))
            self._settle()
            self._leave(Event.STRAY)
            return
        if resting and self.state.cause[0] == NOTHING:
            self.state = passing(self.state)
            self.decision = dataclasses.replace(self.decision, rung=np.zeros_like(self.decision.rung), kept=("",))
        self._acted = now
        self._decided = None if resting else now
        if self.decision.command is not None:
            self._send(self.decision.command)
        self._settle()

    def _send(self, command: Command) -> None:
        self._unasked = 0
        braking = self.rung >= HOLD or self.phase is not Phase.FOLLOWING or (self.decision is not None and self.decision.halts)
        self._robot.send(command, self.sequence, self.gate.epoch, braking=braking)

    def _goal(self, event: Event) -> Phase | None:
        """The phase that an event leads to; None if it leads nowhere."""
        return following(self.phase, event, effort=self.guard.mode == "effort")

    def _go(self, event: Event) -> None:
        """Enter the phase that an event leads to, if any, and tell."""
        self.phase = self._goal(event) or self.phase
        self._tell()

    def _leave(self, event: Event) -> None:
        """Go where an event leads to, if anywhere; what is armed no more then is disarmed before anybody is told."""
        goal = self._goal(event)
        if goal is not None and goal not in ARMED:
            self.state = self.guard.disarm(self.state if self.state.rung[0] == STOP else passing(self.state))
        self._go(event)

    def _settle(self) -> None:
        """Follow the guard's rung."""
        rung = self.state.rung[0]
        if rung == STOP and self.phase not in (Phase.BRAKING, Phase.HELD, Phase.STOPPED):
            self.turns += 1
            self._pending, self._still, self._urgent, self._stopped = None, 0, True, self._clock()
            if self.phase is Phase.IDLE and self.guard.mode != "effort":  # efforts go on holding
                self._lookout.let_go(self._stopped)
            self._leave(Event.STOP)
        elif rung == HOLD:
            self._go(Event.HOLD)
        elif rung != STOP:
            self._go(Event.RECOVER)
        self._tell()

    def _tell(self) -> None:
        """Say that phase or sender have changed, if they have; from hold on the phase tells the rung, and between pass and clamp nobody is woken."""
        shown = (self.phase, self.gate.epoch)
        if shown != self._shown:
            self._shown = shown
            self._on_change()

    def _timing(self, command: Command | None, now: float) -> tuple[Timing | float, Told | None]:
        """A command that keeps its time is judged for a whole period, as in training; what comes sooner, for what has passed."""
        if not self._robot.realtime:
            return self._period, self._lookout.told()
        since = self._since(now)
        whole = command is not None and since > _ON_TIME * self._period
        return self._lookout.timing(max(since, self._period) if whole else since, now), self._lookout.told()

    def _since(self, now: float) -> float:
        """Seconds since the last decision."""
        return self._period if self._decided is None else now - self._decided
