"""Where an arm that is commanded by effort is held, with each rule in plain numbers."""

import dataclasses

import numpy as np
import pytest

from isthmus.envelope import Situation
from isthmus.holding import Holding
from isthmus.monitors import Monitors
from isthmus.robot import Hold, load_robot
from isthmus.rungs import GuardState
from isthmus.timing import Timing

PENDULUM = load_robot("pendulum")
HINGE = dataclasses.replace(PENDULUM.joints[0], velocity=4.0, stop_acceleration=10.0)
ROBOT = dataclasses.replace(PENDULUM, joints=(HINGE,), hold=Hold((30.0,), (1.0,), True))
HOLDING = Holding(ROBOT, dataclasses.replace(ROBOT.limits(), position_low=(-1.0,), position_high=(2.0,)), [0.3])
PERIOD = 0.05


def column(*values):
    return np.array(values, dtype=float)[:, None]


def state(rows, *, braking=True):
    zeros = np.zeros((rows, 1))
    seen = dataclasses.replace(Monitors(ROBOT.monitors, "effort", ("hinge",), np.array([4.0])).initial(rows), position=zeros)
    flags, nothing = np.full(rows, braking), np.zeros(rows, dtype=np.int8)
    return GuardState(
        armed=flags,
        rung=nothing,
        executed=zeros,
        rate=zeros,
        anchor=np.full_like(zeros, np.nan),
        braking=flags,
        started=flags,
        good=nothing,
        held=np.zeros(rows),
        runaway=~flags,
        cause=("",) * rows,
        monitors=seen,
        trail=(),
    )


def test_the_anchor_is_where_the_joint_stops_within_its_limits():
    position = column(0, 0, 1.9, -0.9, 0, 0, 2.1, -1.1, 0)
    velocity = column(2, -2, 2, -2, 40, -40, 0, 0, np.nan)
    zeros = np.zeros_like(position)
    now = Situation(zeros, zeros, np.full_like(zeros, np.nan), position, velocity, zeros, Timing.of(PERIOD))
    found = HOLDING.latched(state(9, braking=False), np.full(9, True), now)
    # 2² / (2 · 10); the limits; no faster than 4 rad/s; where it is, if that is beyond a limit
    np.testing.assert_allclose(found, column(0.2, -0.2, 2, -1, 0.8, -0.8, 2.1, -1.1, np.nan))
    kept = HOLDING.latched(state(9), np.full(9, True), dataclasses.replace(now, anchor=column(*range(9))))
    np.testing.assert_array_equal(kept, column(*range(9)))


@pytest.mark.parametrize(
    ("change", "forgotten"),
    [
        ({}, False),
        ({"jumped": True}, True),
        ({"gap": 0.2, "moved": 0.019}, False),
        ({"gap": 0.2, "moved": -0.021}, True),
        ({"gap": 0.2, "moved": 0.1, "unseen": 0.25}, False),  # it has not been found yet
        ({"moved": 0.1}, False),
        ({"gap": 0.08, "moved": 0.1}, False),  # shorter than a time-out
        ({"delay": 0.2}, True),
        ({"delay": 0.2, "unseen": 0.01}, False),  # the same sample again
        ({"delay": 0.08}, False),
    ],
)
def test_an_anchor_is_forgotten_where_the_joint_may_be_elsewhere(change, forgotten):
    ahead, anchor = state(2).monitors, column(0.1, 0.2)
    before = dataclasses.replace(ahead, unseen=column(change.get("gap", 0), 0))
    after = dataclasses.replace(
        ahead,
        unseen=column(change.get("unseen", 0), 0),
        position=column(change.get("moved", 0), 0),
        jumped=np.array([[change.get("jumped", False)], [False]]),
    )
    timing = Timing(PERIOD, PERIOD, 0.005, np.array([change.get("delay", 0.0), 0.0]))
    np.testing.assert_array_equal(HOLDING.doubted(anchor, before, after, timing), column(np.nan if forgotten else 0.1, 0.2))


@pytest.mark.parametrize(
    ("place", "velocity", "change", "torn"),
    [
        (0.31, 0.1, {}, True),
        (-0.31, -0.1, {}, True),
        (0.31, np.nan, {}, True),
        (0.29, 0.1, {}, False),
        (0.31, -0.1, {}, False),  # it comes back
        (0.31, 0.0, {}, False),  # it sags
        (0.31, 0.1, {"jumped": True}, False),
        (0.31, 0.1, {"braking": False}, False),
    ],
)
def test_a_joint_is_torn_away_that_moves_on_away_from_its_anchor(place, velocity, change, torn):
    held = dataclasses.replace(state(1, braking=change.get("braking", True)), anchor=column(0))
    seen = dataclasses.replace(held.monitors, position=column(place), jumped=np.array([[change.get("jumped", False)]]))
    assert HOLDING.torn(held, seen, column(velocity)).tolist() == [[torn]]
