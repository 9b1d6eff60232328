"""Samples that are lost and commands that come late by chance, alike in both engines and in any batch."""

import numpy as np
import pytest

from isthmus.records import Command
from isthmus.robot import load_robot
from isthmus_sim.plants import make_plant
from isthmus_sim.plants.command_path import CommandPath
from isthmus_sim.plants.sensors import Sensors

ENGINES = ("mujoco", "pybullet")


def readings(engine, seeds, steps, **parameters):
    """What sensors say and what is true, `[steps, B, J]` each, of arms that turn."""
    plant = make_plant(engine, load_robot("ur5e"), mode="velocity", period=0.05, batch=len(seeds))
    plant.reset(seeds=seeds, parameters={name: np.full(len(seeds), value) for name, value in parameters.items()})
    seen, true, stamps = [], [], []
    for _ in range(steps):
        sample = plant.read()
        np.testing.assert_array_equal(plant.read().position, sample.position)
        seen.append(sample.position.copy())
        stamps.append(sample.stamp.copy())
        true.append(plant.truth().position.copy())
        plant.write(Command("velocity", plant.robot.joint_names, np.full((len(seeds), 6), 0.5)))
        plant.advance()
    plant.close()
    return np.array(seen), np.array(true), np.array(stamps)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_lost_sample_is_the_one_before_it_with_its_noise_and_stamp(engine):
    seen, true, stamps = readings(engine, [7, 8], 40, observation_dropout=0.5, position_noise=0.01)
    repeated = (seen[1:] == seen[:-1]).all(axis=2)
    assert 0.3 < repeated.mean() < 0.7
    np.testing.assert_array_equal(repeated, stamps[1:] == stamps[:-1])
    assert not (repeated[:, 0] == repeated[:, 1]).all()
    fresh = np.vstack([np.ones((1, 2), dtype=bool), ~repeated])
    assert (np.abs(seen - true).max(axis=2)[fresh] < 0.06).all()
    np.testing.assert_allclose(stamps[fresh], np.broadcast_to(0.05 * np.arange(40)[:, None], (40, 2))[fresh], atol=1e-9)


def test_a_row_of_a_batch_loses_what_a_single_run_loses():
    both, _, _ = readings("mujoco", [7, 8], 30, observation_dropout=0.3, control_jitter=0.05, position_noise=0.01)
    alone, _, _ = readings("mujoco", [8], 30, observation_dropout=0.3, control_jitter=0.05, position_noise=0.01)
    np.testing.assert_array_equal(both[:, 1:], alone)


def test_runs_of_lost_samples_go_on_over_blocks_of_draws():
    from isthmus.records import Measurement

    sensors = Sensors(1, 0.01)
    sensors.reset(np.array([0]), [3], {"observation_dropout": np.array([0.9])})
    said = []
    for step in range(600):
        exact = Measurement(np.array([float(step)]), ("joint",), np.array([[float(step)]]), np.zeros((1, 1)))
        said.append(float(sensors.sense(exact, np.array([step])).position[0, 0]))
        sensors.record(exact)
    steps = np.diff(said)
    assert said[0] == 0
    assert (steps >= 0).all()
    assert 0.8 < (steps == 0).mean() < 0.97
    assert all(value == place for place, value in enumerate(said) if place and steps[place - 1])


def test_jitter_makes_every_command_late_by_another_time():
    period, steps = 0.05, 10
    path = CommandPath(2, 1, period, steps)
    path.reset(np.array([0, 1]), 0.0, 0.0, np.zeros((2, 1)), np.array([period, 0.0]), [4, 5])
    late = []
    for value in range(1, 300):
        seen = path.push(np.full((2, 1), float(value)))[:, :, 0]
        np.testing.assert_array_equal(seen[1], value)
        late.append((value - seen[0]).mean() * period)
    assert 0 <= min(late) < 0.1 * period
    assert 0.9 * period < max(late) <= period
    assert np.mean(late) == pytest.approx(period / 2, rel=0.1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_jittered_arm_lags_by_half_the_jitter(engine):
    _, plain, _ = readings(engine, [1], 20)
    _, late, _ = readings(engine, [1], 20, control_jitter=0.05)
    assert 0.001 < (plain - late)[-1].max() < 0.05 * 0.5 + 1e-3
