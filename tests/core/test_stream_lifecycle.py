"""Sequences drawn at random: arm, start, stop, kill, restart, buttons, lost states, pushes, in any order.

There is no motion without arm and start, in that order, after the last stop, disarming or loss of the sender.
"""

import itertools

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from stream_bench import COUNT, Bench

from isthmus.phases import Phase

SPEED = 0.4


class Lifecycle(RuleBasedStateMachine):
    """The model knows who may move the arm: `allowed` is the epoch of the process that was started after arming."""

    @initialize(mode=st.sampled_from(["velocity", "position"]))
    def begin(self, mode):
        self.bench = Bench(mode)
        self.epochs = (f"{number:08x}" for number in itertools.count(1))
        self.policy, self.running = next(self.epochs), False
        self.fresh = False  # armed, and nobody has commanded since
        self.allowed = ""
        self.home = self.bench.arm.position.copy()

    def spend(self, seconds):
        bench, before = self.bench, self.bench.arm.position.copy()
        here = before[0].copy()
        ask = None
        if self.running:
            if self.fresh:
                self.allowed, self.fresh = self.policy, False
            ask = (lambda t: np.full(COUNT, SPEED)) if bench.arm.mode == "velocity" else (lambda t: here + SPEED * t)
        bench.run(seconds, ask, epoch=self.policy)
        moved = np.abs(bench.arm.position - before).max()
        return moved

    def settle(self):
        """Whatever has stopped, disarmed or not: the model follows what the guard says it is."""
        if not self.bench.stream.armed or self.bench.stream.state.rung[0] == 3:
            self.allowed, self.fresh = "", False

    @rule()
    def arm(self):
        self.bench.stream.arm()
        if self.bench.phase is Phase.IDLE:
            self.fresh, self.allowed = True, ""

    @rule()
    def disarm(self):
        self.bench.stream.disarm()

    @rule()
    def reset(self):
        if not self.bench.stream.moving:
            self.bench.stream.reset()

    @rule()
    def press(self):
        self.bench.stream.stop("emergency_stop is true")
        assert self.bench.stream.rung == 3

    @rule()
    def start(self):
        self.running = True

    @rule()
    def stop_policy(self):
        self.running = False
        if self.bench.phase is Phase.FOLLOWING:
            here = self.bench.arm.position[0].copy()
            ask = (lambda t: np.zeros(COUNT)) if self.bench.arm.mode == "velocity" else (lambda t: here)
            self.bench.run(0.4, ask, epoch=self.policy)

    @rule()
    def kill_policy(self):
        self.running, self.policy, self.bench.number = False, next(self.epochs), -1

    @rule(back=st.booleans())
    def lose_states(self, back):
        self.bench.arm.silent = True
        self.spend(0.4)
        self.bench.arm.silent = not back

    @rule()
    def find_states(self):
        self.bench.arm.silent = False

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.6]))
    def wait(self, seconds):
        before = self.bench.phase
        moved = self.spend(seconds)
        self.settle_after(before, moved)

    def settle_after(self, before, moved):
        resting = before in (Phase.DISARMED, Phase.STOPPED, Phase.IDLE)
        if resting and not self.allowed:
            assert moved < 1e-9, (before, self.bench.phase, moved)
        if resting and self.allowed and self.allowed != self.policy:
            assert moved < 1e-9

    @invariant()
    def follows(self):
        if hasattr(self, "bench"):
            self.settle()

    @invariant()
    def nothing_is_sent_unarmed(self):
        if hasattr(self, "bench") and not self.bench.stream.armed:
            sent = len(self.bench.arm.sent)
            self.bench.run(0.05, None)
            assert len(self.bench.arm.sent) == sent


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
