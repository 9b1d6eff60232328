"""A robot in simulated time, and a guarded stream on it: what the tests of the stream share."""

import numpy as np

from isthmus.guard import LimitGuard
from isthmus.phases import Phase
from isthmus.records import Command, Measurement
from isthmus.robot import load_robot
from isthmus.senders import Asked
from isthmus.stream import GuardedStream

ROBOT, PERIOD, TICK = load_robot("ur5e"), 0.05, 0.005
JOINTS, COUNT = ROBOT.joint_names, len(ROBOT.joint_names)
ELBOW = JOINTS.index("elbow_joint")
EPOCH = "0a1b2c3d"


class Arm:
    """Moves as it is told; what is wrong with it can be switched on."""

    realtime, state_topic = True, "/joint_states"

    def __init__(self, mode="velocity"):
        self.mode, self.now, self.seen = mode, 100.0, 100.0
        self.position, self.velocity = ROBOT.home[None].copy(), np.zeros((1, COUNT))
        self.said = (self.position.copy(), self.velocity.copy())
        self.sent, self.trouble, self.alarming = [], "", ""
        self.epoch = self.braked = None  # of the last command: who asked for it, and whether the guard brakes by itself
        self.silent, self.frozen, self.delay = False, False, 0.0
        self.driven = None  # joint velocities `[J]`, rad/s, whatever is commanded
        self.tell = lambda measurement: measurement

    @property
    def age(self):
        return self.now - self.seen

    @property
    def stamp(self):
        return round(self.seen * 1e9)

    def read(self):
        stamp = np.array([99.0 if self.frozen else self.seen])
        return self.tell(Measurement(stamp, JOINTS, self.said[0].copy(), self.said[1].copy(), np.zeros((1, COUNT))))

    def fault(self):
        return self.trouble

    def alarm(self):
        return self.alarming

    def begin(self):
        pass

    def place(self, joints, ago=0.0):
        return None

    def send(self, command, sequence, epoch, *, braking):
        assert (command.mode, command.joints) == (self.mode, JOINTS)
        self.sent.append((self.now, sequence, command.values[0].copy()))
        self.epoch, self.braked = epoch, braking
        if self.mode == "velocity":
            self.velocity = command.values.copy()
        elif self.mode == "position":
            self.velocity = (command.values - self.position) / PERIOD

    def pass_time(self, seconds=TICK):
        self.now += seconds
        if self.driven is not None:
            self.velocity = self.driven[None].copy()
        self.position = self.position + self.velocity * seconds
        if self.mode == "position" and self.driven is None and self.sent and self.now - self.sent[-1][0] >= PERIOD - 1e-9:
            self.velocity = np.zeros((1, COUNT))
        if not self.silent:
            self.seen = self.now
            self.said = (self.position.copy(), self.velocity.copy())

    @property
    def moments(self):
        return np.array([moment for moment, _, _ in self.sent])

    @property
    def values(self):
        return np.array([values for _, _, values in self.sent])


class Bench:
    """An arm, its stream and a sender."""

    def __init__(self, mode="velocity", robot=ROBOT):
        self.arm = Arm(mode)
        self.changes, self.helped = [], []
        self.stream = GuardedStream(
            self.arm,
            LimitGuard(robot, robot.limits(), mode),
            PERIOD,
            tick=TICK,
            on_change=lambda: self.changes.append(self.stream.phase) if hasattr(self, "stream") else None,
            last_resort=self.helped.append,
            clock=lambda: self.arm.now,
        )
        self.number, self.due = 0, None

    def armed(self):
        self.stream.arm()
        assert self.stream.phase is Phase.IDLE
        return self

    def ask(self, values, *, sequence=None, epoch=EPOCH, age=0.0):
        self.number = self.number + 1 if sequence is None else sequence
        self.stream.accept(
            Asked(epoch, self.number, self.arm.stamp, age, Command(self.arm.mode, JOINTS, np.array(values, dtype=float)[None]))
        )

    def run(self, seconds, values=None, **asked):
        """Let time pass, tick by tick; `values(seconds)` gives one command per period."""
        end, began = self.arm.now + seconds - 1e-9, self.arm.now
        due = self.arm.now + PERIOD
        while self.arm.now < end:
            self.arm.pass_time()
            if values is not None and self.arm.now >= due - 1e-9:
                due += PERIOD
                self.ask(values(self.arm.now - began), **asked)
            self.stream.watch()
        return self

    def cruise(self, speed=0.5, seconds=1.0):
        """Move all joints at this speed."""
        home = self.arm.position[0].copy()
        position = lambda t: home + speed * (t + PERIOD)  # noqa: E731
        return self.run(seconds, (lambda t: np.full(COUNT, speed)) if self.arm.mode == "velocity" else position)

    @property
    def phase(self):
        return self.stream.phase
