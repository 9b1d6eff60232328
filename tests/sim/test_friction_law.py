"""Friction that is higher at rest, and under load: simulated, refused, and found again."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from arm_logs import EFFORTS, TRUTH, model_text, simulate, write_csv

from isthmus import Command, load_robot
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import make_problem, open_logs, read_parameter_file
from isthmus_sim.plants import make_plant

PERIOD = 0.05
LAW = {"hinge.frictionloss": 0.4, "hinge.stiction": 0.3, "hinge.stribeck_velocity": 0.05}


def speeds(plant, effort, seconds, parameters):
    """Of the pendulum without gravity, whose inertia is 1/3 kg·m², from rest under constant efforts, one per row."""
    rows = plant.batch
    plant.reset(parameters={"gravity": np.zeros(rows), **{name: np.broadcast_to(value, rows) for name, value in parameters.items()}})
    for _ in range(round(seconds / PERIOD)):
        plant.write(Command("effort", plant.robot.joint_names, np.array(effort)[:, None]))
        plant.advance()
    return plant.read().velocity[:, 0]


@pytest.mark.parametrize("delay", [0.0, 0.02])
def test_a_joint_breaks_away_above_its_stiction_and_then_moves_with_coulomb_friction(delay):
    plant = make_plant("mujoco", load_robot("pendulum"), mode="effort", period=PERIOD, batch=2)
    stuck, free = speeds(plant, [0.65, 0.85], 1.0, {**LAW, "action_delay": delay})
    assert abs(stuck) < 0.02
    assert free == pytest.approx(3 * 0.45 * (1 - delay), rel=0.05)
    stuck, free = speeds(plant, [0.35, 0.65], 1.0, {"hinge.frictionloss": 0.4})  # what a row had before is gone
    assert abs(stuck) < 0.02
    assert free == pytest.approx(3 * 0.25, rel=0.05)
    plant.close()


def test_a_share_of_the_load_is_friction():
    plant = make_plant("mujoco", load_robot("pendulum"), mode="effort", period=PERIOD, batch=2)
    found = speeds(plant, [1.0, 2.0], 1.0, {"hinge.load_friction": 0.3})
    np.testing.assert_allclose(found, 3 * 0.7 * np.array([1.0, 2.0]), rtol=0.03)
    plant.close()


@pytest.mark.parametrize("quantity", ["stiction", "stribeck_velocity", "load_friction"])
def test_pybullet_refuses_it_by_name(quantity):
    plant = make_plant("pybullet", load_robot("pendulum"), mode="effort", period=PERIOD)
    with pytest.raises(ValueError, match=rf"cannot express parameter 'hinge\.{quantity}': its dry friction is Coulomb's alone"):
        plant.reset(parameters={f"hinge.{quantity}": np.array([0.1])})
    plant.close()


def stribeck(velocity):
    """Dry friction of both joints: that of j2 is 0.3 N·m higher at rest, with a Stribeck velocity of 0.3 rad/s."""
    return [TRUTH["f1"], TRUTH["f2"] + 0.3 * np.exp(-((velocity[1] / 0.3) ** 2))]


def test_stribeck_friction_is_found(tmp_path):
    model, text = tmp_path / "arm.xml", tmp_path / "p.yaml"
    model.write_text(model_text({**TRUTH, "f2": 0.05}))
    text.write_text(
        EFFORTS + "unknown: {j2.frictionloss: [0, 1], j2.damping: [0, 2], j2.stiction: [0, 1], j2.stribeck_velocity: [0.02, 1]}\n"
    )
    file, target = read_parameter_file(text), find_target(str(model))
    log = write_csv(tmp_path / "log.csv", *simulate(seconds=8.0, delay=0, dry=stribeck))
    problem = make_problem(target, file, open_logs([log], file, target))
    found = identify(problem, FitOptions(starts=1), threads=1)
    assert found.objections == ()
    np.testing.assert_allclose(found.known.values, [0.15, 0.2, 0.3, 0.3], atol=0.04)
    assert "friction law of j2" not in [suspect.effect for suspect in found.suspects]
