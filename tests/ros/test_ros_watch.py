import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from isthmus_ros.policy.supervision import SupervisedStep
from ros_bench import Late, punctual

from isthmus.contract import Contract
from isthmus.guard import STOP
from isthmus.records import ActionChunk
from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus.testing.fake import FakePlant
from isthmus_ros.policy.motion import IDLE, Motion
from isthmus_ros.policy.ramp import PEAK_SPEED
from isthmus_sim.tasks import get_task

ROBOT, PERIOD, SPEED = load_robot("ur5e"), 0.05, 0.3


class Recording(FakePlant):
    """A fake plant that knows when it was told what; the commands in `broken` cannot be sent."""

    def __init__(self, mode="velocity", realtime=True):
        super().__init__(ROBOT, mode, PERIOD, realtime=realtime)
        self.times, self.broken = [], False

    def write(self, command):
        if self.broken:
            raise RuntimeError("the publisher is gone")
        self.times.append(time.monotonic())
        super().write(command)


class Hanging:
    """Wants a constant speed; decision `when` waits for `released`."""

    def __init__(self, contract, when=10):
        self.contract, self.when, self.decisions, self.began = contract, when, 0, np.inf
        self.released = threading.Event()

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        self.decisions += 1
        if self.decisions == self.when:
            self.began = time.monotonic()
            assert self.released.wait(20)
            return ActionChunk(np.full((1, 1, 6), -1.0))
        return ActionChunk(np.full((1, 1, 6), SPEED))


@pytest.fixture
def plant():
    return Recording()


def moving(plant, policy, **callbacks):
    step = SupervisedStep(plant, policy.contract)
    step.state = step.guard.arm(step.state)
    inputs = {signal.name: np.array([[0.0, -0.5, 0.5]]) for signal in policy.contract.inputs}
    motion = Motion(step, policy, sequence=lambda: len(plant.written) - 1, inputs=lambda: inputs, **callbacks)
    motion.start(None)
    return motion


def wait(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_hanging_policy_is_braked_to_standstill_without_it(plant):
    policy = Hanging(get_task("reach").contract)
    ticks = []
    motion = moving(plant, policy, on_tick=ticks.append)
    wait(lambda: not motion.moving)
    assert motion.state == IDLE
    assert motion.hung
    assert motion.step.state.rung[0] == STOP
    assert "no command was decided within 0.085 s" in motion.step.state.cause[0]
    assert not motion.step.state.armed[0]
    after = [command.values for command, moment in zip(plant.written, plant.times, strict=True) if moment > policy.began]
    assert len(after) > 5
    assert np.abs(after[0]).max() < SPEED
    np.testing.assert_array_equal(after[-1], 0.0)
    assert {tick.index for tick in ticks[-5:]} == {-1}
    written = len(plant.written)
    policy.released.set()
    wait(lambda: not motion.hung)
    assert len(plant.written) == written
    assert motion.state == IDLE


def test_guard_stop_acts_while_the_policy_hangs(plant):
    policy = Hanging(get_task("reach").contract)
    motion = moving(plant, policy)
    wait(lambda: policy.began < np.inf)
    motion.latch("guard/stop was called")
    assert motion.step.state.rung[0] == STOP
    wait(lambda: not motion.moving)
    assert "guard/stop was called" in motion.step.state.cause[0]
    policy.released.set()


@punctual
def test_late_result_is_dropped_and_the_hold_clears():
    plant = Recording()
    policy = Hanging(get_task("reach").contract)
    rungs = []
    motion = moving(plant, policy, on_tick=lambda tick: rungs.append((tick.index, int(tick.decision.rung[0]))))
    wait(lambda: motion.step.taken)
    policy.released.set()
    wait(lambda: motion.step.state.rung[0] != 2)
    if motion.step.state.rung[0] == STOP:
        raise Late
    motion.stop()
    wait(lambda: not motion.moving)
    assert min(command.values.min() for command in plant.written) >= 0.0  # the late action was negative
    assert (-1, 2) in rungs
    assert policy.decisions > policy.when + 4


def test_callbacks_that_raise_disturb_nothing_and_are_logged_once(plant):
    def gone(*_):
        raise RuntimeError("the disk is full")

    log = []
    policy = Hanging(get_task("reach").contract, when=-1)
    motion = moving(plant, policy, on_change=gone, on_tick=gone, on_end=gone, log=log.append)
    wait(lambda: policy.decisions > 5)
    motion.stop()
    wait(lambda: not motion.moving)
    np.testing.assert_array_equal(plant.written[-1].values, 0.0)
    assert log == ["a callback of the motion raised RuntimeError: the disk is full"]
    assert motion.step.state.armed[0]


@pytest.mark.parametrize("realtime", [True, False])
def test_failure_while_braking_stops_the_plant_and_latches(realtime):
    plant = Recording(realtime=realtime)
    policy = Hanging(get_task("reach").contract, when=-1)
    motion = moving(plant, policy)
    wait(lambda: policy.decisions > 5)
    plant.broken = True
    wait(lambda: not motion.moving)
    assert "the publisher is gone" in plant.stopped
    assert "the publisher is gone" in motion.failure
    assert motion.step.state.rung[0] == STOP
    assert not motion.step.state.armed[0]


def test_giving_up_ends_a_motion_that_does_not_come_to_rest(plant):
    policy = Hanging(get_task("reach").contract)
    motion = moving(plant, policy)
    wait(lambda: policy.began < np.inf)
    motion.give_up("no standstill within 5 s")
    assert (motion.state, plant.stopped, motion.failure) == (IDLE, "no standstill within 5 s", "no standstill within 5 s")
    policy.released.set()
    wait(lambda: not motion.hung)
    assert motion.step.state.rung[0] == STOP


def test_stop_in_the_last_moment_of_a_motion_is_kept(plant):
    policy = Hanging(get_task("reach").contract, when=-1)
    motion = moving(plant, policy, on_change=lambda: None)
    wait(lambda: policy.decisions > 2)
    at_rest, calls = motion.step.guard.at_rest, []

    def late(state, measurement):
        rest = at_rest(state, measurement)
        calls.append(bool(rest.all()))
        if sum(calls) == 2:
            motion.latch("guard/stop was called")
        return rest

    motion.step.guard.at_rest = late
    motion.stop()
    wait(lambda: not motion.moving)
    assert motion.step.state.rung[0] == STOP
    assert not motion.step.state.armed[0]


def test_samples_with_unbelievable_stamps_hold_then_stop(plant):
    policy, fault = Hanging(get_task("reach").contract, when=-1), []
    step = SupervisedStep(plant, policy.contract, fault=lambda: fault[0] if fault else "")
    step.state = step.guard.arm(step.state)
    motion = Motion(step, policy, sequence=lambda: len(plant.written) - 1, inputs=lambda: {"goal": np.array([[0.0, -0.5, 0.5]])})
    motion.start(None)
    wait(lambda: policy.decisions > 3)
    fault.append("the joint state was 0.200 s old when it arrived")
    wait(lambda: not motion.moving)
    assert "0.200 s old" in step.state.cause[0]
    assert step.state.rung[0] == STOP


def test_ramp_in_position_mode_stays_slow_after_a_hold():
    limits, names = ROBOT.limits(), ROBOT.joint_names
    signals = [
        Signal(name, name, names, "rad", limits.position_low, limits.position_high) for name in ("joint_position", "previous_action")
    ]
    contract = Contract(
        robot="ur5e",
        task="still",
        observation=tuple(signals),
        action=signals[0],
        limits=limits,
        control_period=PERIOD,
        start={joint.name: (joint.home, 0.02) for joint in ROBOT.joints},
    )

    class Still:
        def __init__(self):
            self.contract = contract

        def reset(self, rows=None, seed=None):
            pass

        def act(self, observation):
            return ActionChunk(observation["joint_position"][:, -1][:, None])

    plant = Recording("position", realtime=False)
    plant.reset(state={"position": (ROBOT.home + 0.45)[None]})
    step = SupervisedStep(plant, contract)
    step.measurement = plant.read()
    step.state = step.guard.arm(step.state)
    motion = Motion(step, Still(), sequence=lambda: len(plant.written) - 1, inputs=dict, longest=3)
    write = plant.write

    def held(command):
        write(command)
        if len(plant.written) == 25:
            motion.hold("guard/hold was called")

    plant.write = held
    motion.start({joint.name: joint.home for joint in ROBOT.joints})
    wait(lambda: not motion.moving)
    speed = np.abs(np.diff([command.values[0] for command in plant.written], axis=0)) / PERIOD
    assert not motion.failure
    assert len(speed) > 60
    assert 0.1 < speed.max() <= PEAK_SPEED + 1e-9
