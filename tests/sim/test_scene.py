import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import Command, load_robot
from isthmus_sim.plants import make_plant
from isthmus_sim.plants.command_path import CommandPath
from isthmus_sim.scene import Body, Hinge, Scene, Shape, flat_ground

ENGINES = ["mujoco", "pybullet"]
TABLE = Body("table", (Shape("box", (2.0, 2.0, 0.05)),), position=(0.0, 0.0, -0.05))
GRAVITY = 9.81


def puck(**changes):
    settings = {"position": (0.5, 0.5, 0.02), "friction": 0.3, **changes}
    return Body("puck", (Shape("box", (0.1, 0.1, 0.02)),), mass=0.5, joint="free", **settings)


def made(engine, *bodies, contacts=(), batch=1, robot="ur5e", mode="velocity"):
    return make_plant(engine, load_robot(robot), mode=mode, period=0.05, batch=batch, scene=Scene(bodies, contacts))


def rest(plant, periods):
    for _ in range(periods):
        plant.advance()
    return plant.truth()


@pytest.mark.parametrize("engine", ENGINES)
def test_body_falls_as_galileo_says(engine):
    plant = made(engine, puck(position=(0.5, 0.5, 3.0)))
    plant.reset()
    truth = rest(plant, 10)
    assert truth.poses["puck"][0, 2] == pytest.approx(
        3.0 - GRAVITY * 0.5**2 / 2, abs=GRAVITY * 0.5 * 0.005 / 2 + 1e-6
    )  # half a physics step
    assert truth.twists["puck"][0, 2] == pytest.approx(-GRAVITY * 0.5, rel=1e-6)
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("friction", [0.1, 0.5])
def test_friction_of_a_contact_is_the_product_of_both(engine, friction):
    slope = np.deg2rad(40.0)
    tilted = np.array([np.sin(slope / 2), np.cos(slope / 2)])
    ramp = Body(
        "ramp", (Shape("box", (3.0, 3.0, 0.05), position=(0, 0, -0.05)),), rotation=(0, float(tilted[0]), 0, float(tilted[1])), friction=0.8
    )
    plant = made(engine, ramp, puck(), contacts=(("puck", "ramp"),))
    normal = np.array([np.sin(slope), 0, np.cos(slope)])
    plant.reset(state={"puck": np.array([[*(0.0201 * normal), *ramp.rotation]])}, parameters={"puck.friction": np.array([friction])})
    truth = rest(plant, 12)
    downhill = np.array([np.cos(slope), 0, -np.sin(slope)])
    expected = GRAVITY * (np.sin(slope) - 0.8 * friction * np.cos(slope)) * 0.6
    assert (truth.twists["puck"][0, :3] * downhill).sum() == pytest.approx(expected, rel=0.04)
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_pose_is_that_of_the_frame_and_not_of_the_centre_of_mass(engine):
    plant = made(engine, puck())
    turned = np.array([[0.4, 0.3, 1.0, 0.0, 0.0, np.sin(0.4), np.cos(0.4)]])
    plant.reset(state={"puck": turned}, parameters={"puck.com_x": np.array([0.07])})
    np.testing.assert_allclose(plant.truth().poses["puck"], turned, atol=1e-9)
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_shifted_centre_of_mass_makes_a_body_tip(engine):
    ledge = Body("ledge", (Shape("box", (0.05, 0.2, 0.05)),), position=(0.5, 0.5, 0.5))
    ends = []
    for shift in (0.0, 0.08):
        plant = made(engine, ledge, puck(position=(0.5, 0.5, 0.5701)), contacts=(("puck", "ledge"),))
        plant.reset(parameters={"puck.com_x": np.array([shift])})
        ends.append(rest(plant, 20).poses["puck"][0, 2])
        plant.close()
    assert ends[0] == pytest.approx(0.57, abs=2e-3)
    assert ends[1] < 0.5


@pytest.mark.parametrize("engine", ENGINES)
def test_damped_hinge_turns_at_its_terminal_velocity(engine):
    wheel = Body("wheel", (Shape("cylinder", (0.2, 0.02)),), mass=1.0, joint=Hinge((0, 0, 1), damping=2.0), position=(0.5, 0, 0.5))
    arm = Body(
        "flap",
        (Shape("box", (0.2, 0.01, 0.01), position=(0.2, 0, 0)),),
        mass=0.2,
        joint=Hinge((0, 1, 0), damping=3.0),
        position=(0, 0.8, 1),
    )
    plant = made(engine, wheel, arm)
    plant.reset()
    before, after = rest(plant, 6).poses["flap"][0], rest(plant, 2).poses["flap"][0]
    angle = [2 * np.arctan2(pose[4], pose[6]) for pose in (before, after)]
    torque = 0.2 * GRAVITY * 0.2 * np.cos(np.mean(angle))
    assert (angle[1] - angle[0]) / 0.1 == pytest.approx(torque / 3.0, rel=0.03)
    plant.reset(parameters={"flap.frictionloss": np.array([0.5])})
    assert abs(rest(plant, 20).poses["flap"][0, 4]) < 0.02  # dry friction above the weight's torque holds it; MuJoCo's creeps a little
    plant.close()


def test_engines_agree_on_a_spring_and_a_limit():
    ends = []
    for engine in ENGINES:
        gate = Body(
            "gate",
            (Shape("box", (0.3, 0.02, 0.3), position=(0.3, 0, 0)),),
            2.0,
            Hinge((0, 0, 1), low=-1.0, high=1.5, damping=0.3),
            position=(0, 1, 1),
        )
        plant = made(engine, gate)
        plant.reset(state={"gate": np.array([[1.0]])}, parameters={"gate.stiffness": np.array([5.0])})
        ends.append(rest(plant, 8).poses["gate"][0, 5])
        plant.close()
    assert ends[0] == pytest.approx(ends[1], abs=0.02)


@pytest.mark.parametrize("engine", ENGINES)
def test_carried_body_moves_with_its_link_and_weighs_on_it(engine):
    stick = Body("stick", (Shape("cylinder", (0.01, 0.1), position=(0, 0, 0.1)),), mass=2.0, parent="tool0", friction=0.5)
    bare, loaded = made(engine), made(engine, stick)
    efforts = [rest(plant, 20).effort[0, 1] for plant in (bare, loaded)]
    reach = bare.truth().poses["tool0"][0, :2]
    assert abs(efforts[1] - efforts[0]) == pytest.approx(2.0 * GRAVITY * abs(reach[1]), rel=0.15)
    for plant in (bare, loaded):
        plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_delayed_command_acts_later_by_exactly_the_delay(engine):
    plant = made(engine, batch=3)
    delay = np.array([0.0, 0.03, 0.12])
    plant.reset(parameters={"action_delay": delay})
    for _ in range(10):
        plant.write(Command("velocity", plant.robot.joint_names, np.ones((3, 6))))
        plant.advance()
    travelled = plant.truth().position - plant.robot.home
    np.testing.assert_allclose((travelled[0] - travelled)[:, 0], delay * 1.0, atol=2e-3)
    plant.close()


@given(delay=st.floats(0, 0.5), commands=st.lists(st.floats(-5, 5), min_size=12, max_size=12))
def test_delay_loses_no_command(delay, commands):
    period, steps = 0.05, 10
    late = CommandPath(1, 1, period, steps)
    late.reset(np.array([0]), np.array([delay]), 0.0, np.zeros((1, 1)))
    seen = np.concatenate([late.push(np.array([[value]]))[0, :, 0] for value in [*commands, *[0.0] * 11]])
    assert seen.sum() / steps == pytest.approx(sum(commands), abs=1e-9)
    whole = round(delay / period) * steps
    if abs(delay / period - round(delay / period)) < 1e-12:
        np.testing.assert_allclose(seen[whole : whole + 12 * steps], np.repeat(commands, steps)[: seen.size - whole], atol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_sensors_are_late_and_noisy_but_truth_is_not(engine):
    plant = made(engine, puck(), batch=2)
    values = {"observation_delay": np.array([0.0, 0.075]), "position_noise": np.array([0.1, 0.0]), "pose_noise": np.array([0.02, 0.0])}
    plant.reset(seeds=[5, 6], parameters=values)
    truths, readings = [plant.truth()], [plant.read()]
    for _ in range(6):
        plant.write(Command("velocity", plant.robot.joint_names, np.ones((2, 6))))
        plant.advance()
        truths.append(plant.truth())
        readings.append(plant.read())
    late = (truths[4].position[1] + truths[5].position[1]) / 2
    np.testing.assert_allclose(readings[6].position[1], late, atol=1e-12)
    assert readings[6].stamp[1] == pytest.approx(0.3 - 0.075)
    noise = np.array([reading.position[0] - truth.position[0] for reading, truth in zip(readings, truths, strict=True)])
    assert 0.05 < noise.std() < 0.2
    assert np.ptp([reading.poses["puck"][0, 0] for reading in readings]) > 0.01
    np.testing.assert_array_equal(plant.read().position, readings[6].position)
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_push_moves_a_mobile_base_while_it_lasts(engine):
    robot = load_robot("quadruped")
    plant = make_plant(engine, robot, mode="position", period=0.02, scene=Scene())
    base = np.array([[0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 1.0]])
    values = {"gravity": 0.0, "push_y": 30.0, "push_time": 0.1, "push_duration": 0.2}
    plant.reset(state={"base": base}, parameters={name: np.array([value]) for name, value in values.items()})
    mass = 30.0 * 0.2 / rest(plant, 30).twists["base_link"][0, 1]
    assert 9.0 < mass < 16.0  # of the whole robot, once the legs have come along
    plant.close()


def test_flat_ground_carries_a_mobile_robot_and_nothing_else():
    assert flat_ground(load_robot("ur5e")) == Scene()
    assert {second for _, second in flat_ground(load_robot("quadruped")).contacts} == {"ground"}


@pytest.mark.parametrize("engine", ENGINES)
def test_differential_base_drives_what_it_is_told(engine):
    plant = make_plant(engine, load_robot("diffbot"), mode="twist", period=0.1)
    plant.reset()
    for _ in range(30):
        plant.write(Command("twist", ("vx", "wz"), np.array([[0.2, 0.5]])))
        plant.advance()
    truth = plant.truth()
    np.testing.assert_allclose(truth.velocity[0], [0.2, 0.5], atol=0.02)
    np.testing.assert_allclose(truth.twists["base_link"][0, [0, 5]], [0.2, 0.5], atol=0.03)
    x, y = truth.poses["base_link"][0, :2]
    assert np.hypot(x - 0.0, y - 0.4) == pytest.approx(0.4, abs=0.04)  # a circle of radius v / ω around (0, 0.4)
    plant.close()


def test_what_an_engine_cannot_express_is_an_error_that_names_it():
    plant = made("pybullet")
    with pytest.raises(ValueError, match=r"plant 'pybullet' cannot express parameter 'elbow_joint.armature': it has no rotor inertia"):
        plant.reset(parameters={"elbow_joint.armature": np.ones(1)})
    assert "elbow_joint.armature" not in plant.parameters
    plant.close()
    crowded = Body("comb", (Shape("sphere", (0.01,)),) * 17)
    with pytest.raises(ValueError, match="cannot express body 'comb': it has 17 shapes, 16 are allowed"):
        made("pybullet", crowded)
    spinning = Body("wheel", (Shape("sphere", (0.1,)),), 1.0, Hinge((0, 0, 1), armature=0.1))
    with pytest.raises(ValueError, match="cannot express the armature of the hinge of body 'wheel'"):
        made("pybullet", spinning)


def test_refusals_name_the_bad_value():
    box = (Shape("box", (0.1, 0.1, 0.1)),)
    for make, message in (
        (lambda: Shape("cone", (1.0,)), r"shape must be one of box, .*, got 'cone'"),
        (lambda: Shape("box", (0.1, -0.1, 0.1)), r"size of a box must be 3 positive numbers, got \(0.1, -0.1, 0.1\)"),
        (lambda: Body("b", box, joint="free"), r"body 'b': mass must be >= 0, and > 0 for a body that moves, got 0.0 kg"),
        (
            lambda: Body("b", box, 1.0, "free", inertia=(1.0, 1.0, 3.0)),
            r"body 'b': inertia must be positive and the largest moment at most",
        ),
        (lambda: Body("b", box, 1.0, "free", parent="tool0"), r"body 'b': only a fixed body can be carried by robot link 'tool0'"),
        (lambda: Hinge((1.0, 1.0, 0.0)), r"axis of a hinge must be a unit vector, got \(1.0, 1.0, 0.0\)"),
        (lambda: Scene((Body("a", box), Body("a", box))), "bodies of a scene must have unique names, got a, a"),
        (lambda: Scene((Body("a", box),), (("b", "c"),)), "contact b – c names no body of the scene; it has: a"),
        (lambda: made("mujoco", Body("a", box, parent="tool9")), "body 'a': the robot has no link 'tool9'"),
        (lambda: made("mujoco", Body("a", box), contacts=(("a", "nobody"),)), "'nobody' is no body or link with a collision shape"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize("values", [{}, {"puck.friction": 0.5}])
def test_a_world_put_back_is_the_world_made_anew(values):
    plants = [made("pybullet", TABLE, puck(), contacts=(("puck", "table"),)) for _ in range(2)]
    turned = np.array([[0.5, 0.5, 0.1, 0.3, 0.1, 0.0, 0.9]])
    plants[0].reset(parameters={name: np.array([value]) for name, value in values.items()})
    rest(plants[0], 20)
    for plant in plants:
        plant.reset(state={"puck": turned}, parameters={name: np.array([value]) for name, value in values.items()})
    for _ in range(20):
        poses = [rest(plant, 1).poses["puck"] for plant in plants]
        np.testing.assert_array_equal(poses[0], poses[1])
    for plant in plants:
        plant.close()
