import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.contract import Contract
from isthmus.observation import ObservationBuilder
from isthmus.plant import Plant
from isthmus.records import Command, Measurement
from isthmus.replay import ReplayPlant, replay_observations
from isthmus.robot import load_robot
from isthmus.signals import CameraSpec, Signal
from isthmus.trace import TraceStep, TraceWriter, read_trace, row_of

ROBOT = load_robot("ur5e")
JOINTS = ROBOT.joint_names
MEASURED = (*reversed(JOINTS), "gripper_joint")  # another order than the contract's, and one joint more
INF = float("inf")
files = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def signal(name, source, elements, unit, **options):
    return Signal(name, source, elements, unit, (-INF,) * len(elements), (INF,) * len(elements), **options)


def contract(history, stride, dtype, mode="joint_velocity"):
    memory = {"history": history, "stride": stride, "dtype": dtype}
    unit = {"joint_velocity": "rad/s", "joint_position": "rad"}[mode]
    return Contract(
        robot="ur5e",
        task="test",
        observation=(
            signal("q", "joint_position", JOINTS, "rad", **memory),
            signal("dq", "joint_velocity", JOINTS[:3], "rad/s", **memory),
            signal("tool0", "pose", ("x", "y", "z", "qx", "qy", "qz", "qw"), "m", **memory),
            signal("previous", "previous_action", JOINTS, unit, **memory),
            signal("elapsed", "time", ("t",), "s", **memory),
            signal("goal", "input", ("x", "y", "z"), "m", history=history, dtype=dtype),
            Signal("wrist", "image", (), "1", (), (), dtype="uint8", history=history, stride=stride, camera=CameraSpec(height=4, width=3)),
        ),
        action=Signal("action", mode, JOINTS, unit, (-1.0,) * 6, (1.0,) * 6),
        limits=ROBOT.limits(),
        control_period=0.05,
        horizon=2,
    )


def record(path, agreed, steps=20, batch=3, row=1, every=2, seed=0):
    """Record one row of a batch of random walks; returns the observations of that row."""
    random = np.random.default_rng(seed)
    builder = ObservationBuilder(agreed, ROBOT, batch)
    position, executed, observations = random.normal(size=(batch, 7)), None, []
    with TraceWriter(path, agreed, {}) as writer:
        for step in range(steps):
            position = position + 0.1 * random.normal(size=(batch, 7))
            pixels = random.integers(0, 256, size=(batch, 4, 3, 3), dtype=np.uint8)
            measurement = Measurement(
                np.full(batch, step * 0.05), MEASURED, position, random.normal(size=(batch, 7)), images={"wrist": pixels}
            )
            builder.push(measurement, executed)
            inputs = {"goal": np.full((batch, 3), step // 7 + 0.1)}
            executed = Command(agreed.mode, JOINTS, random.normal(size=(batch, 6)))
            observation = row_of(builder.build(inputs), row) if step % every == 0 else None
            if observation is not None:
                observations.append(observation)
            measured, sent = row_of(measurement, row), row_of(executed, row)
            action = None if observation is None else np.zeros((1, 2, 6))
            writer.record(TraceStep(measured, sent, sent, inputs=row_of(inputs, row), observation=observation, action=action))
    return {name: np.concatenate([one[name] for one in observations]) for name in observations[0]}


@files
@given(
    history=st.integers(1, 4),
    stride=st.integers(1, 3),
    dtype=st.sampled_from(["float32", "float64"]),
    mode=st.sampled_from(["joint_velocity", "joint_position"]),
    every=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_replayed_observations_equal_the_recorded_ones_exactly(tmp_path, history, stride, dtype, mode, every, seed):
    seen = record(tmp_path / "run.mcap", contract(history, stride, dtype, mode), every=every, seed=seed)
    trace = read_trace(tmp_path / "run.mcap")
    replayed = replay_observations(trace, ROBOT)
    assert set(trace.observations) == set(replayed) - {"wrist"}  # images are recorded once, as measurements
    for name, expected in seen.items():
        assert replayed[name].dtype == expected.dtype, name
        assert replayed[name].shape == expected.shape, name
        assert replayed[name].tobytes() == expected.tobytes(), name
        if name != "wrist":
            assert trace.observations[name].tobytes() == expected.tobytes(), name


@pytest.fixture
def trace(tmp_path):
    record(tmp_path / "run.mcap", contract(2, 1, "float32"), steps=4)
    return read_trace(tmp_path / "run.mcap")


def test_plant_replays_measurements_and_keeps_what_is_written(trace):
    plant = ReplayPlant(trace, ROBOT)
    assert isinstance(plant, Plant)
    assert (plant.period, plant.batch, plant.realtime) == (0.05, 1, False)
    for _ in range(2):
        plant.reset(seeds=[3])
        for step in range(4):
            np.testing.assert_array_equal(plant.read().position, trace.position[step : step + 1])
            plant.write(Command("velocity", JOINTS[::-1], trace.executed[step : step + 1, ::-1]))
            plant.advance()
        np.testing.assert_array_equal(plant.written, trace.executed)


def test_a_period_without_a_command_is_nan(trace):
    plant = ReplayPlant(trace, ROBOT)
    plant.advance()
    plant.write(Command("velocity", JOINTS, trace.executed[:1]))
    plant.advance()
    np.testing.assert_array_equal(plant.written, [np.full(6, np.nan), trace.executed[0]])


def test_stop_keeps_its_reason_until_reset(trace):
    plant = ReplayPlant(trace, ROBOT)
    plant.stop("too close")
    assert plant.reasons == ["too close"]
    plant.reset()
    assert plant.reasons == []


def test_refusals_name_the_bad_value(trace):
    with pytest.raises(ValueError, match="the recording is of robot 'ur5e', not of 'pendulum'"):
        ReplayPlant(trace, load_robot("pendulum"))
    plant = ReplayPlant(trace, ROBOT)
    with pytest.raises(ValueError, match="a recording cannot be reset with 'position'; it has its own state and parameters"):
        plant.reset(state={"position": np.zeros((1, 6))})
    for _ in range(4):
        plant.advance()
    for action in (plant.read, plant.advance):
        with pytest.raises(IndexError, match="the recording has 4 measurements and has ended"):
            action()
