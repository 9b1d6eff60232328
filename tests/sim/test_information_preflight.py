"""Identification, simulated before an exploration is trusted: what a motion tells is found, what it does not tell is not."""

from dataclasses import replace

import numpy as np
import pytest

from isthmus.guard import STOP
from isthmus_sim.identification.information_env import InformationVectorEnv
from isthmus_sim.identification.information_preflight import UNSURE, SimulatedIdentification, with_length
from isthmus_sim.identification.information_run import Nearness, play
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.tasks import get_task

STRIKE = np.array([0.9, 0.0, 0.0, 0.0, 0.0, 0.0])  # rad/s: the cue turns with the base, through the puck


def slide(seconds=1.2):
    return with_length(get_task("slide"), seconds)


def strike(observation, number):
    return np.tile(STRIKE * (number < 12), (len(observation["time"]), 1))


def stay(observation, number):
    return np.zeros((len(observation["time"]), 6))


def test_a_strike_tells_the_friction_of_a_puck_and_not_its_mass():
    task = slide()
    unknown = find_unknown(task, [])
    simulated = SimulatedIdentification(task, unknown, 6)
    expected = simulated.run(strike, 8, seed=5)
    assert expected.errors.shape == (8, 2)
    assert expected.sd[0] < 0.1
    assert expected.sd[1] > UNSURE
    assert expected.verdicts[1] == "NOT IDENTIFIABLE"
    assert not expected.run.bad.any()
    assert expected.run.seconds == pytest.approx(1.2)
    simulated.close()


def test_without_contact_nothing_is_told_and_the_middle_of_the_range_stays():
    task = slide(0.3)
    unknown = find_unknown(task, ["puck.friction"])
    simulated = SimulatedIdentification(task, unknown, 4)
    expected = simulated.run(stay, 4)
    assert expected.verdicts == ("NOT IDENTIFIABLE",)
    assert np.ptp(expected.errors) > 0.1  # whatever the truth is, the answer is one half
    assert expected.sd == pytest.approx(np.sqrt(1 / 12), abs=0.1)
    assert expected.sd >= np.sqrt(1 / 12) - 1e-9  # however near the middle the draws are
    simulated.close()


def test_what_the_guard_stops_has_ended_and_is_bad():
    task = slide(0.5)
    env = InformationVectorEnv(task, find_unknown(task, ["puck.friction"]), 2, autoreset=False)
    seen = []
    run = play(env, lambda _, number: np.full((2, 6), np.nan if number == 2 else 0.0), [0, 1], watch=lambda *told: seen.append(told))
    assert run.bad.all()
    assert (run.seconds < 0.5).all()
    assert seen[-1][2]["rung"].max() == STOP or seen[-1][2]["invalid"].all()
    env.close()


def test_nearness_falls_as_the_tool_comes_to_the_puck_and_is_none_for_the_robot():
    task = slide(0.5)
    unknown = find_unknown(task, ["puck.friction"])
    env = InformationVectorEnv(task, unknown, 2, autoreset=False)
    near = Nearness(task, unknown)
    assert play(env, strike, [0, 1], near).nearest.max() < play(env, stay, [0, 1], near).nearest.min() < 0.2
    own = replace(task, scene=None)
    assert np.array_equal(Nearness(own, find_unknown(own, [], {"elbow_joint.damping": (0.0, 1.0)}))(env.plant.truth()), [0.0, 0.0])
    env.close()
