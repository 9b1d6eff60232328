"""Sensors that freeze and motors that die are found at any speed; ordinary motion is not mistaken for them."""

import dataclasses

import numpy as np
import pytest
from sample_contract import UR5E

from isthmus import Command, LimitGuard
from isthmus.guard import HOLD, STOP
from isthmus.monitors import Monitors
from isthmus.robot import Thresholds
from isthmus.testing import FakePlant
from isthmus.timing import Timing

LAG = UR5E.monitors.tracking_lag


@pytest.mark.parametrize("mode", ["velocity", "position"])
@pytest.mark.parametrize("fault", ["frozen", "dead_motor"])
@pytest.mark.parametrize("dt", [0.01, 0.05])
@pytest.mark.parametrize("speed", [0.05, 0.17, 1.5])
def test_a_frozen_sensor_and_a_dead_motor_stop_at_any_speed(mode, fault, dt, speed):
    guard, plant = LimitGuard(UR5E, UR5E.limits(), mode), FakePlant(UR5E, mode, dt, lag=LAG)
    state = guard.initial(1, armed=True)
    began = at = round(1.0 / dt)
    for tick in range(began + round((0.03 / speed + 0.1) / dt) + 2):
        if tick == began:
            plant.fault(fault, "elbow_joint")
            at = plant.truth().position[0, 2]
        executed = state.executed if state.started.all() else UR5E.home[None]
        values = executed + speed * dt if mode == "position" else np.full((1, 6), speed)
        decision, state = guard.check(state, Command(mode, UR5E.joint_names, values), plant.read(), dt)
        plant.write(decision.command)
        plant.advance()
        assert tick >= began or decision.rung[0] < HOLD
        if decision.rung[0] == STOP:
            break
    assert decision.cause == ("elbow_joint does not follow its command: its measured position is frozen",)
    assert speed < 1 or (tick - began) * dt <= 0.3
    assert plant.truth().position[0, 2] - at < 0.03 + (LAG + 3 * dt) * speed


def alarms(monitors, commands, positions, dt):
    """First tick with an alarm and its cause per row, for velocity commands and measured positions `[T, B, J]`."""
    state, found = monitors.initial(commands.shape[1]), {}
    still = np.zeros(commands.shape[1:])
    for tick, position in enumerate(positions):
        executed = commands[tick - 1] if tick else still
        state, new = monitors.update(state, np.full(len(position), tick * dt), executed, executed, position, still, Timing.of(dt))
        for alarm in new:
            for row in np.flatnonzero(alarm.rows):
                found.setdefault(int(row), (tick, alarm.causes[row]))
    return found


@pytest.mark.parametrize("dt", [0.01, 0.05])
@pytest.mark.parametrize("speed", [0.05, 0.17, 1.5])
def test_a_dead_motor_with_a_noisy_encoder_is_found_at_any_speed(dt, speed):
    monitors = Monitors(UR5E.monitors, "velocity", ("hinge",), np.array([3.0]))
    ticks = round(0.6 / speed / dt)
    noise = np.random.default_rng(0).normal(0, 1e-3, (ticks, 1, 1))
    tick, cause = alarms(monitors, np.full((ticks, 1, 1), speed), noise, dt)[0]
    assert cause == "hinge does not follow its command"
    assert speed < 1 or tick * dt <= 0.3 + 1e-9


@pytest.mark.parametrize("dt", [0.01, 0.05])
def test_ten_minutes_of_ordinary_motion_raise_nothing(dt):
    ticks, rows, joints = round(600 / dt), 8, 3
    generator = np.random.default_rng(1)
    knots = generator.uniform(-1.5, 1.5, (601, rows, joints))
    commands = np.repeat(knots, round(1 / dt), axis=0)[:ticks]  # a new speed every second
    commands[:, 1] = generator.uniform(-1.5, 1.5, (ticks, joints))  # and every period
    commands[:, 2] = 1.5  # one way
    commands[:, 3] = [2e-5, 2e-4, 2e-3]  # creeps, by less than one count of the encoder per period
    commands[:, 4:6] = generator.uniform(-1e-3, 1e-3, (ticks, 2, joints))  # rests, or nearly so
    commands[:, 6] *= np.linspace(0, 1, ticks)[:, None]
    positions, true, speed = np.empty_like(commands), np.zeros((rows, joints)), np.zeros((rows, joints))
    left = np.exp(-dt / LAG)
    for tick in range(ticks):
        positions[tick] = np.round(true / 1e-4) * 1e-4
        true += 0.99 * (commands[tick] * dt + (speed - commands[tick]) * LAG * (1 - left))
        speed = commands[tick] + (speed - commands[tick]) * left
    positions[:, 5] = 0.7  # static friction
    monitors = Monitors(dataclasses.replace(UR5E.monitors, oscillation=np.inf), "velocity", ("a", "b", "c"), np.full(joints, 3.0))
    assert alarms(monitors, commands, positions, dt) == {}


def test_the_answer_to_the_newest_command_may_be_on_its_way():
    monitors = Monitors(Thresholds(), "velocity", ("hinge",), np.array([3.0]))
    commands = np.full((4, 1, 1), 1.0)
    assert alarms(monitors, commands, np.array([0.0, 0.0, 0.1, 0.2]).reshape(4, 1, 1), 0.1) == {}
    late = alarms(monitors, commands, np.array([0.0, 0.0, 0.0, 0.1]).reshape(4, 1, 1), 0.1)
    assert late == {0: (2, "hinge does not follow its command: its measured position is frozen")}


def test_lost_and_unreadable_samples_are_not_frozen_ones():
    monitors = Monitors(Thresholds(), "velocity", ("hinge",), np.array([3.0]))
    executed = np.full((1, 1), 1.0)
    for position, step in ((0.0, 0.0), (np.nan, 0.05)):  # the stamp stays, or the number is missing
        state = monitors.initial(1)
        for tick in range(4):
            sample = np.full((1, 1), 0.0 if tick == 0 else position)
            state, found = monitors.update(state, np.array([tick * step]), executed, executed, sample, 0 * executed, Timing.of(0.05))
            assert not any("frozen" in cause for alarm in found for cause in alarm.causes)
