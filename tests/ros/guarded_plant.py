"""A robot behind a guard, without ROS: what `AskingDrive` sees, and an owner that ends its motion when the guard is silent."""

import time

import numpy as np

from isthmus.contract import Contract
from isthmus.guard import PASS, STOP
from isthmus.records import ActionChunk, Command
from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus.testing.fake import FakePlant
from isthmus.timing import steady
from isthmus_ros.policy.asking import AskingDrive
from isthmus_ros.policy.motion import Motion

ROBOT, PERIOD = load_robot("ur5e"), 0.05


class FakeGuard:
    """Says what the test has it say; executes what it is asked for unless it drops it with a reason, and nothing once it is dead."""

    def __init__(self):
        self.armed, self.alive, self.drops = True, True, ""
        self.rung, self.cause = PASS, ""
        self.executed, self.rate, self.answered, self.sent_on = None, None, -1, -1
        self.heard, self.answered_at, self.dropped, self._answers = steady(), -np.inf, {}, {}

    @property
    def ours(self):
        return self.armed

    @property
    def silent(self):
        return steady() - self.heard

    def refusal(self):
        if self.rung == STOP:
            return f"the guard is stopped ({self.cause}); call guard/reset, then guard/arm"
        return "" if self.armed else "the guard is not armed; call guard/arm first"

    def answer(self, sequence):
        return self._answers.get(sequence)

    def stop(self, cause):
        self.rung, self.cause = STOP, cause

    def ask(self, sequence, command):
        """What it sends for a command, None if nothing."""
        if not self.alive:
            return None
        self.heard = steady()
        if self.drops:
            self.dropped = {**self.dropped, self.drops: self.dropped.get(self.drops, 0) + 1}
            return None
        before = self.executed
        self.executed, self.answered, self.answered_at = command, sequence, self.heard
        self.rate = command.values if command.mode == "velocity" else (command.values - (before or command).values) / PERIOD
        self._answers[sequence] = command
        return command


class GuardedPlant(FakePlant):
    """A fake plant that only its guard commands; `asked` has every command that the guard was asked for."""

    def __init__(self, mode="velocity", realtime=True):
        super().__init__(ROBOT, mode, PERIOD, realtime=realtime)
        self.guard, self.sequence, self.asked, self.broken = FakeGuard(), -1, [], False

    def begin_motion(self):
        pass

    def begin_decision(self):
        pass

    def write(self, command):
        if self.broken:
            raise RuntimeError("the publisher is gone")
        self.sequence += 1
        self.asked.append(Command(command.mode, command.joints, command.values.copy()))
        sent = self.guard.ask(self.sequence, command)
        if sent is not None:
            super().write(sent)

    def halt(self, cause):
        """The guard stops, and brings the robot to rest by itself."""
        self.guard.stop(cause)
        if self.mode == "velocity":
            super().write(Command(self.mode, ROBOT.joint_names, np.zeros((1, 6))))
        self.guard.rate = np.zeros((1, 6))


class Owner:
    """Owns one motion, as the node does."""

    def __init__(self, plant, policy, motion=Motion, **options):
        self.plant, self.silent = plant, []
        self.drive = AskingDrive(plant, policy.contract, on_silence=self.lose)
        inputs = {signal.name: np.array([[0.0, -0.5, 0.5]]) for signal in policy.contract.inputs}
        self.motion = motion(self.drive, policy, sequence=lambda: plant.sequence, inputs=lambda: inputs, **options)

    def lose(self, cause):
        self.silent.append(cause)
        self.motion.end(cause)

    def wait(self, condition, seconds=10.0):
        end = steady() + seconds
        while not condition():
            assert steady() < end, (self.motion.state, self.motion.failure)
            self.motion.look()
            time.sleep(0.002)


def still_contract(start=None):
    """A position contract whose policy sees where the arm is."""
    limits, names = ROBOT.limits(), ROBOT.joint_names
    signals = [
        Signal(name, name, names, "rad", limits.position_low, limits.position_high) for name in ("joint_position", "previous_action")
    ]
    return Contract(
        robot="ur5e", task="still", observation=tuple(signals), action=signals[0], limits=limits, control_period=PERIOD, start=start or {}
    )


class Still:
    """Stays where it is."""

    def __init__(self, contract):
        self.contract = contract

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        return ActionChunk(observation["joint_position"][:, -1][:, None])
