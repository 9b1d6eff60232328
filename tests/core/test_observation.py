import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_contract import PENDULUM, UR5E, joint_signal, make_contract

from isthmus import CameraSpec, Command, Measurement, ObservationBuilder, Signal
from isthmus.kinematics import Kinematics
from isthmus.observation import register_recurrence

JOINTS = UR5E.joint_names
INF = float("inf")


class Odometer:
    """Distance travelled by the first joint."""

    def initial(self, batch):
        return np.full((batch, 2), np.nan)  # last position, distance

    def update(self, state, measurement, dt):
        here = measurement.position[:, 0]
        moved = np.where(dt > 0, np.abs(here - state[:, 0]), 0.0)
        state = np.stack([here, np.where(dt > 0, state[:, 1], 0.0) + moved], axis=1)
        return state, state[:, 1:]


register_recurrence("odometer", Odometer())


def sample(value, batch=1, **fields):
    position = np.asarray(value, dtype=float) + np.zeros((batch, 6))
    return Measurement(np.zeros(batch), JOINTS, position, 10 * position, **fields)


def builder(*signals, batch=1, **changes):
    return ObservationBuilder(make_contract(signals=signals, **changes), UR5E, batch)


def executed(value, batch=1):
    return Command("velocity", JOINTS, np.full((batch, 6), float(value)))


POSITION = joint_signal("position", UR5E, "joint_position", "rad")
TIME = Signal("time", "time", ("t",), "s", (0.0,), (INF,))


def test_history_is_filled_at_reset_and_strides_count_periods():
    history = joint_signal("past", UR5E, "joint_position", "rad", history=3, stride=2)
    build = builder(history)
    seen = []
    for value in range(6):
        build.push(sample(value), executed(0))
        seen.append(build.build()["past"][0, :, 0].tolist())
    assert seen == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 3], [0, 2, 4], [1, 3, 5]]


def test_time_counts_periods_and_the_previous_action_is_what_was_executed():
    build = builder(TIME, joint_signal("previous", UR5E, "previous_action", "rad/s", dtype="float64"))
    seen = []
    for value in range(3):
        build.push(sample(0), executed(value + 5))
        observation = build.build()
        seen.append((float(observation["time"][0, 0, 0]), observation["previous"][0, 0, 0]))
    assert seen == [(0.0, 0.0), (pytest.approx(0.05), 6.0), (pytest.approx(0.1), 7.0)]  # what came before the reset is forgotten


def test_standing_still_counts_as_executed_before_the_first_position_command():
    contract = make_contract(mode="position", signals=(joint_signal("previous", UR5E, "previous_action", "rad"),))
    build = ObservationBuilder(contract, UR5E, 1)
    build.push(sample(0.25), None)
    assert (build.build()["previous"] == 0.25).all()


def test_rows_are_reset_and_pushed_on_their_own():
    build = builder(joint_signal("past", UR5E, "joint_position", "rad", history=2), TIME, batch=3)
    build.push(sample(1, 3), None)
    build.push(sample(2, 3), executed(0, 3))
    before = build.build()
    build.reset(np.array([1]))
    build.push(sample(9, 3), None, np.array([1]))
    after = build.build()
    for name in before:
        np.testing.assert_array_equal(before[name][[0, 2]], after[name][[0, 2]])
    assert after["past"][1, :, 0].tolist() == [9, 9]
    assert after["time"][1, 0, 0] == 0
    build.push(sample(3, 3), executed(0, 3))
    assert build.build()["past"][:, :, 0].tolist() == [[2, 3], [9, 3], [2, 3]]


def test_a_recurrence_advances_with_time_and_starts_anew_at_reset():
    build = builder(Signal("way", "odometer", ("d",), "rad", (0.0,), (INF,)), batch=2)
    for value in (0, 1, -1):
        build.push(sample(value, 2), executed(0, 2))
    assert build.build()["way"][:, 0, 0].tolist() == [3, 3]
    build.reset(np.array([0]))
    build.push(sample(7, 2), None, np.array([0]))
    assert build.build()["way"][:, 0, 0].tolist() == [0, 3]
    build.push(sample(5, 2), executed(0, 2))
    assert build.build()["way"][:, 0, 0].tolist() == [2, 9]


@given(seed=st.integers(0, 2**32))
def test_a_batch_equals_singles_bit_for_bit(seed):
    generator = np.random.default_rng(seed)
    tool = Signal("tool0", "pose", ("x", "y", "z", "qx", "qy", "qz", "qw"), "m", (-INF,) * 7, (INF,) * 7, history=2)
    way = Signal("way", "odometer", ("d",), "rad", (0.0,), (INF,))
    previous = joint_signal("previous", UR5E, "previous_action", "rad/s", history=2)
    signals = (tool, way, previous, TIME)
    batch, singles = builder(*signals, batch=4), [builder(*signals) for _ in range(4)]
    for tick in range(6):
        positions, commands = generator.normal(size=(2, 4, 6))
        rows = np.array([1, 3]) if tick == 3 else None
        if rows is not None:
            batch.reset(rows)
        batch.push(sample(positions, 4), Command("velocity", JOINTS, commands))
        for row, single in enumerate(singles):
            if rows is not None and row in rows:
                single.reset()
            single.push(sample(positions[row]), Command("velocity", JOINTS, commands[row : row + 1]))
            for name, values in batch.build().items():
                np.testing.assert_array_equal(values[row], single.build()[name][0])


def test_joints_are_bound_by_name_and_links_by_kinematics():
    order = [5, 3, 1, 0, 2, 4]
    tool = Signal("tool0", "pose", ("z", "x"), "m", (-INF,) * 2, (INF,) * 2, dtype="float64")
    values = np.linspace(-1, 1, 6)[None]
    build = builder(tool, joint_signal("velocity", UR5E, "joint_velocity", "rad/s", dtype="float64"))
    build.push(Measurement(np.zeros(1), tuple(JOINTS[i] for i in order), values[:, order], 2 * values[:, order]), None)
    observation = build.build()
    np.testing.assert_array_equal(observation["velocity"][0, 0], 2 * values[0])
    pose = Kinematics(UR5E.urdf_path).positions(JOINTS, values, ["tool0"])["tool0"][0]
    np.testing.assert_array_equal(observation["tool0"][0, 0], pose[[2, 0]])


def test_images_twists_wrenches_and_efforts_come_from_the_measurement():
    image = Signal("eye", "image", (), "1", (), (), dtype="uint8", history=2, camera=CameraSpec(2, 3))
    twist = Signal("cube", "twist", ("wz", "vx"), "m/s", (-INF,) * 2, (INF,) * 2)
    wrench = Signal("wrist", "wrench", ("fz",), "N", (-INF,), (INF,))
    effort = joint_signal("effort", UR5E, "joint_effort", "N*m")
    build = builder(image, twist, wrench, effort)
    six = np.arange(6.0)[None]
    picture = np.arange(18, dtype=np.uint8).reshape(1, 2, 3, 3)
    build.push(sample(0, effort=3 * six, twists={"cube": six}, wrenches={"wrist": six}, images={"eye": picture}), None)
    observation = build.build()
    np.testing.assert_array_equal(observation["eye"], np.repeat(picture[:, None], 2, axis=1))
    assert observation["cube"].tolist() == [[[5, 0]]]
    assert observation["wrist"].tolist() == [[[2]]]
    np.testing.assert_array_equal(observation["effort"][0], 3 * six)


def test_what_is_built_is_a_copy():
    build = builder(POSITION)
    build.push(sample(1), None)
    build.build()["position"][:] = 99
    assert (build.build()["position"] == 1).all()


def test_what_is_missing_is_named():
    goal = Signal("goal", "input", ("x", "y"), "m", (-1.0,) * 2, (1.0,) * 2, history=2)
    build = builder(POSITION, goal)
    with pytest.raises(RuntimeError, match="row 0 has had no sample since its reset"):
        build.build({"goal": np.zeros((1, 2))})
    build.push(sample(0), None)
    with pytest.raises(KeyError, match="input 'goal' is missing; given: target"):
        build.build({"target": np.zeros((1, 2))})
    with pytest.raises(ValueError, match=r"input 'goal' must have shape \[1, 2\], got \[2\]"):
        build.build({"goal": np.zeros(2)})
    assert build.build({"goal": np.ones((1, 2))})["goal"].shape == (1, 2, 2)
    with pytest.raises(KeyError, match="joint 'shoulder_pan_joint' is missing; there are: hinge"):
        build.push(Measurement(np.zeros(1), PENDULUM.joint_names, np.zeros((1, 1)), np.zeros((1, 1))), None)
    cube = Signal("cube", "pose", ("x",), "m", (-INF,), (INF,))
    with pytest.raises(KeyError, match="pose 'cube' is missing from the measurement; there are: none"):
        builder(cube).push(sample(0), None)
    with pytest.raises(KeyError, match="needs joint efforts"):
        builder(joint_signal("effort", UR5E, "joint_effort", "N*m")).push(sample(0), None)
    with pytest.raises(ValueError, match="unknown source or recurrence 'odometre'; did you mean 'odometer'"):
        builder(Signal("way", "odometre", ("d",), "rad", (0.0,), (INF,)))
    with pytest.raises(ValueError, match="recurrence name 'time' is taken"):
        register_recurrence("time", Odometer())
