"""Randomisation: what is drawn stays in its ranges, depends on nothing but the row's generator, and what cannot be drawn is refused by name."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.cadence import Cadence
from isthmus.records import Measurement
from isthmus.robot import Camera, load_robot
from isthmus.signals import CameraSpec, Signal
from isthmus_sim import make, make_vec
from isthmus_sim.appearance import AppearanceRanges
from isthmus_sim.episodes import episode_start
from isthmus_sim.parameters import parameter_table
from isthmus_sim.plants import make_plant, task_plant
from isthmus_sim.plants.sensors import Sensors
from isthmus_sim.randomization import (
    Correlated,
    Curriculum,
    Discrete,
    Entry,
    Estimate,
    Latency,
    LogUniform,
    Normal,
    Randomization,
    Uniform,
    load_randomization,
    randomized_plant,
    read_latency,
    save_randomization,
)
from isthmus_sim.scene import Body, Scene, Shape
from isthmus_sim.tasks import get_task

PUCK = Body("puck", (Shape("cylinder", (0.05, 0.02)),), mass=0.3, joint="free", position=(0.5, 0.0, 0.02))
GROUND = Body("ground", (Shape("box", (1.0, 1.0, 0.01)),), position=(0.0, 0.0, -0.01))
TABLE = parameter_table(load_robot("ur5e"), Scene((PUCK, GROUND), (("puck", "ground"),)))
NAMES = sorted(TABLE)
LATENCY = Latency((0.0, 0.5, 0.99, 1.0), (0.0, 0.002, 0.01, 0.03))
EVERYTHING = Randomization(
    (
        Entry("gravity", Normal(9.81, 0.02), "m/s^2"),
        Entry("payload", Uniform(0.0, 2.0), "kg"),
        Entry("push_x", Discrete((-20.0, 0.0, 20.0), (1.0, 8.0, 1.0))),
        Entry("*_joint.damping", LogUniform(0.1, 10.0)),
        Entry("elbow_joint.damping", Curriculum((1.0, 1.0), (0.5, 3.0), 0.5)),
        Entry("action_delay", LATENCY, "s"),
        Entry("puck.inertia", Estimate(1.1, (0.9, 1.2))),
        Entry("puck.com_x", Estimate(0.01)),
    ),
    (Correlated(("puck.mass", "puck.friction"), (0.31, 0.4), ((1e-4, 1e-5), (1e-5, 4e-4)), ("kg", "1")),),
    AppearanceRanges(lights=None, blur=(0.0, 0.5)),
)


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def draw(distribution, name, count=400, progress=1.0):
    sampler = Randomization((Entry(name, distribution),)).bind("mujoco", TABLE)
    return sampler.sample(generators(*range(count)), progress)[name]


@st.composite
def inside(draw, parameter, count=2):
    """Sorted, distinct values of a parameter."""
    shares = draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    values = sorted(min(parameter.low + share * (parameter.high - parameter.low), parameter.high) for share in shares)
    return values


@st.composite
def cases(draw):
    """A parameter, a distribution of it, and the range that it declares."""
    parameter = TABLE[draw(st.sampled_from(NAMES))]
    low, middle, high = draw(inside(parameter, 3).filter(lambda values: values[0] < values[2]))
    kind = draw(st.sampled_from(("uniform", "log_uniform", "normal", "discrete", "curriculum", "estimate", "latency")))
    if kind == "log_uniform" and low > 0:
        return parameter, LogUniform(low, high), low, high
    if kind == "normal":
        sd = draw(st.floats(1e-6, 1e6))
        if draw(st.booleans()):
            return parameter, Normal(middle, sd), parameter.low, parameter.high
        return parameter, Normal(middle, sd, low, high), low, high
    if kind == "discrete":
        return parameter, Discrete((high, low, middle), (0.5, 0.0, 2.0)), middle, high
    if kind == "curriculum":
        return parameter, Curriculum((middle, middle), (low, high), draw(st.floats(0.01, 1))), low, high
    if kind == "estimate":
        return parameter, Estimate(middle, (low, high)), low, high
    if kind == "latency" and parameter.unit == "s" and low >= 0:
        return parameter, Latency((0.0, 0.5, 1.0), (low, middle, high)), low, high
    return parameter, Uniform(low, high), low, high


@given(case=cases(), seed=st.integers(0, 2**63), progress=st.floats(0, 1))
def test_a_draw_never_leaves_its_declared_range(case, seed, progress):
    parameter, distribution, low, high = case
    sampler = Randomization((Entry(parameter.name, distribution),)).bind("mujoco", TABLE)
    values = sampler.sample(generators(*range(seed, seed + 20)), progress)[parameter.name]
    assert ((low <= values) & (values <= high)).all()


@settings(max_examples=30, deadline=None)
@given(data=st.data(), count=st.integers(1, 4), seed=st.integers(0, 2**63))
def test_a_joint_draw_never_leaves_the_valid_ranges(data, count, seed):
    names = tuple(data.draw(st.lists(st.sampled_from(NAMES), min_size=count, max_size=count, unique=True)))
    low, high = (np.array([getattr(TABLE[name], end) for name in names]) for end in ("low", "high"))
    factor = np.random.default_rng(seed).standard_normal((count, count))
    spread = (high - low) * data.draw(st.floats(1e-4, 0.3))
    covariance = (factor @ factor.T + np.eye(count)) * np.outer(spread, spread) / count
    mean = low + (high - low) * data.draw(st.floats(0.3, 0.7))
    block = Correlated(names, tuple(mean.tolist()), tuple(map(tuple, covariance.tolist())))
    drawn = Randomization((), (block,)).bind("mujoco", TABLE).sample(generators(*range(seed, seed + 20)))
    for name, values in drawn.items():
        assert ((TABLE[name].low <= values) & (values <= TABLE[name].high)).all()


@given(first=st.integers(0, 2**31), progress=st.floats(0, 1))
@settings(max_examples=10, deadline=None)
def test_64_rows_are_64_single_rows_bit_for_bit(first, progress):
    sampler = EVERYTHING.bind("mujoco", TABLE)
    together = sampler.sample(generators(*range(first, first + 64)), progress)
    assert set(together) == set(sampler.names)
    for row in range(64):
        alone = sampler.sample(generators(first + row), progress)
        assert all(alone[name][0] == values[row] for name, values in together.items())


def test_what_is_one_number_for_all_joints_names_the_units_of_all():
    both = parameter_table(load_robot("ur5e_gripper"), Scene())
    assert {name: both[name].unit for name in ("joint_damping", "position_noise", "velocity_noise")} == {
        "joint_damping": "N*m*s/rad or N*s/m",
        "position_noise": "rad or m",
        "velocity_noise": "rad/s or m/s",
    }
    assert TABLE["position_noise"].unit == "rad"


def test_draws_follow_their_distributions():
    normal = draw(Normal(9.81, 0.5), "gravity", 2000)
    assert normal.mean() == pytest.approx(9.81, abs=0.05)
    assert normal.std() == pytest.approx(0.5, rel=0.1)
    truncated = draw(Normal(0.0, 1.0), "payload", 2000)  # valid from 0 on
    assert np.median(truncated) == pytest.approx(NormalDist().inv_cdf(0.75), abs=0.06)
    assert np.median(draw(LogUniform(0.01, 1.0), "joint_damping", 2000)) == pytest.approx(0.1, rel=0.2)
    values, counts = np.unique(draw(Discrete((0.0, 1.0, 2.0), (1.0, 0.0, 3.0)), "payload", 2000), return_counts=True)
    assert values.tolist() == [0.0, 2.0]
    assert counts[1] / 2000 == pytest.approx(0.75, abs=0.04)
    times = draw(LATENCY, "action_delay", 2000)
    assert np.median(times) == pytest.approx(0.002, rel=0.1)
    assert 0.003 < np.quantile(times, 0.99) < 0.02
    assert (draw(Estimate(0.4), "puck.friction") == 0.4).all()


def test_a_joint_draw_has_its_covariance():
    covariance = ((0.04, -0.03), (-0.03, 0.09))
    sampler = Randomization((), (Correlated(("payload", "gravity"), (5.0, 9.81), covariance),)).bind("mujoco", TABLE)
    drawn = sampler.sample(generators(*range(4000)))
    np.testing.assert_allclose(np.cov(drawn["payload"], drawn["gravity"]), covariance, atol=0.006)


def test_a_curriculum_grows_until_it_is_full():
    curriculum = Curriculum((1.0, 1.0), (0.0, 3.0), until=0.5)
    spreads = [np.ptp(draw(curriculum, "payload", progress=progress)) for progress in (0.0, 0.1, 0.25, 0.5)]
    assert spreads[0] == 0
    assert (np.diff(spreads) > 0).all()
    np.testing.assert_array_equal(draw(curriculum, "payload", progress=0.5), draw(curriculum, "payload", progress=1.0))


def test_a_name_says_more_than_a_pattern_and_each_match_is_drawn_for_itself():
    sampler = EVERYTHING.bind("mujoco", TABLE)
    drawn = sampler.sample(generators(3), progress=0.0)
    assert drawn["elbow_joint.damping"] == 1.0  # the curriculum's start
    joints = [drawn[name][0] for name in drawn if name.endswith("_joint.damping")]
    assert len(set(joints)) == len(joints) == 6


def test_a_file_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "calibrated.yaml"
    save_randomization(EVERYTHING, path, comment="from run.mcap\n12 episodes")
    assert path.read_text().startswith("# from run.mcap\n# 12 episodes\n")
    read = load_randomization(path)
    assert read == EVERYTHING
    assert read.digest() == EVERYTHING.digest()
    assert replace(EVERYTHING, entries=EVERYTHING.entries[1:]).digest() != read.digest()
    assert json.loads(json.dumps(read.summary()))["content"]["parameters"]["payload"] == {
        "uniform": {"low": 0.0, "high": 2.0},
        "unit": "kg",
    }


def test_the_documented_form_is_read(tmp_path):
    from isthmus_sim.randomization import files

    cadence = Cadence(0.05, realtime=True, steps=1000)
    cadence.work.extend(np.linspace(0.001, 0.011, 1001))
    (tmp_path / "robot.json").write_text(json.dumps({"task": "reach", "cadence": cadence.summary()}))
    (tmp_path / "documented.yaml").write_text(files.__doc__.split("```yaml\n")[1].split("```")[0])
    read = load_randomization(tmp_path / "documented.yaml")
    rest = {"payload", "gravity", "push_x", "joint_damping", "action_delay", "puck.com_x", "puck.mass", "puck.friction"}
    assert set(read.bind("mujoco", TABLE).names) == rest | {name for name in NAMES if name.endswith(".damping")}
    (latency,) = [entry.distribution for entry in read.entries if entry.pattern == "action_delay"]
    assert latency.times == pytest.approx((0.001, 0.006, 0.0109, 0.01099, 0.011))


def test_a_report_without_those_times_is_refused(tmp_path):
    path = tmp_path / "lockstep.json"
    path.write_text(json.dumps(Cadence(0.05, realtime=False).summary() | {"work_ms": {"p50": 1, "p99": 2, "p99.9": 3, "max": 4}}))
    with pytest.raises(ValueError, match=r"lockstep.json has no times 'lateness_ms'; Known: work_ms"):
        read_latency(path, "lateness_ms")
    assert read_latency(path, "work_ms").times == (0.0, 0.001, 0.002, 0.003, 0.004)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "must have the keys parameters, correlated, appearance"),
        ("parameter: {}", "unknown key 'parameter'; did you mean 'parameters'?"),
        (
            "parameters: {payload: {unifrom: {low: 0, high: 1}}}",
            "parameters.payload: unknown distribution 'unifrom'; did you mean 'uniform'?",
        ),
        ("parameters: {payload: {unit: kg}}", "parameters.payload must have one distribution, got none"),
        ("parameters: {payload: {uniform: {low: 2, high: 1}}}", "parameters.payload.uniform: low must be < high, both finite, got 2 and 1"),
        ("parameters: {payload: {uniform: {low: 1, high: 1}}}", "parameters.payload.uniform: low must be < high, both finite, got 1 and 1"),
        (
            "parameters: {payload: {uniform: {low: 1, high: .inf}}}",
            "parameters.payload.uniform: low must be < high, both finite, got 1 and inf",
        ),
        ("parameters: {payload: {uniform: {low: 1, high: .nan}}}", "parameters.payload.uniform.high must be a number, got nan"),
        ("parameters: {payload: {uniform: {low: 1}}}", "parameters.payload.uniform: key 'high' is missing"),
        (
            "parameters: {payload: {log_uniform: {low: 0, high: 1}}}",
            "parameters.payload.log_uniform: low of a log-uniform range must be > 0, got 0",
        ),
        ("parameters: {payload: {normal: {mean: 1, sd: 0}}}", "parameters.payload.normal: mean must be finite and sd > 0, got 1 and 0"),
        ("parameters: {payload: {normal: {mean: 1, sd: 1, low: 2}}}", "parameters.payload.normal: mean must be in 2 … inf, got 1"),
        (
            "parameters: {payload: {normal: {mean: 1, sd: 1, low: 2, high: 0}}}",
            "parameters.payload.normal: low must be < high, got 2 and 0",
        ),
        ("parameters: {payload: {discrete: {values: []}}}", "parameters.payload.discrete: values must be at least one finite number"),
        ("parameters: {payload: {discrete: {values: [1], weights: [1, 2]}}}", "there must be one weight per value, got 2 for 1 values"),
        ("parameters: {payload: {discrete: {values: [1, 2], weights: [1, -1]}}}", "weights must be >= 0 and not all 0, got [1.0, -1.0]"),
        (
            "parameters: {payload: {curriculum: {start: [0, 3], end: [0, 2]}}}",
            "start must be a range inside end [0.0, 2.0], got [0.0, 3.0]",
        ),
        ("parameters: {payload: {curriculum: {start: [0, 1], end: [0, 2], until: 0}}}", "until must be > 0 and <= 1, got 0"),
        ("parameters: {payload: {estimate: {value: 3, interval: [1, 2]}}}", "value must be in its interval [1.0, 2.0], got 3"),
        ("parameters: {payload: {latency: {report: a.json}}}", "must have report and series, or probabilities and times, got report"),
        (
            "parameters: {payload: {latency: {probabilities: [0, 0.5], times: [0, 1]}}}",
            "probabilities must increase from 0 to 1, got [0.0, 0.5]",
        ),
        (
            "parameters: {payload: {latency: {probabilities: [0, 1], times: [1, 0]}}}",
            "times must be >= 0 s and not decrease, got [1.0, 0.0]",
        ),
        (
            "correlated: [{names: [a, a], mean: [1, 1], covariance: [[1, 0], [0, 1]]}]",
            "correlated[0]: names must be at least one, each once",
        ),
        (
            "correlated: [{names: [a, b], mean: [1], covariance: [[1, 0], [0, 1]]}]",
            "correlated[0]: mean must be 2 finite numbers, one per name",
        ),
        ("correlated: [{names: [a, b], mean: [1, 1], covariance: [[1, 0]]}]", "correlated[0]: covariance must be 2 × 2, got rows of [2]"),
        (
            "correlated: [{names: [a, b], mean: [1, 1], covariance: [[1, 0], [0, -1]]}]",
            "correlated[0]: covariance must be positive definite: the variance of 'b' must be > 0, got -1",
        ),
        (
            "correlated: [{names: [a, b], mean: [1, 1], covariance: [[1, 0.5], [0.4, 1]]}]",
            "correlated[0]: covariance must be symmetric, but differs for 'a' and 'b'",
        ),
        (
            "correlated: [{names: [a, b], mean: [1, 1], covariance: [[1, 2], [2, 1]]}]",
            "correlated[0]: covariance of a, b must be positive definite; the smallest eigenvalue of its correlations is -1",
        ),
        (
            "parameters: {a: {uniform: {low: 0, high: 1}}}\ncorrelated: [{names: [a], mean: [1], covariance: [[1]]}]",
            "parameter 'a' is drawn twice",
        ),
        ("parameters:\n  a: {uniform: {low: 0, high: 1}}\n  a: {uniform: {low: 0, high: 1}}", "key 'a' appears twice"),
    ],
)
def test_files_are_refused_by_place_and_value(tmp_path, text, sentence):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.yaml") as caught:
        load_randomization(path)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "distribution", "sentence"),
    [
        ("puck.mas", Uniform(0.1, 1), "unknown parameter 'puck.mas'; did you mean 'puck.mass'?"),
        ("disc.*", Uniform(0.1, 1), "pattern 'disc.*' matches no parameter"),
        ("puck.mass", Uniform(-0.1, 1), "parameter 'puck.mass' must be in 0.001 … 100 kg, got -0.1"),
        ("puck.mass", Normal(-1.0, 1), "parameter 'puck.mass' must be in 0.001 … 100 kg, got -1"),
        ("puck.mass", Normal(1.0, 1, low=-2), "parameter 'puck.mass' must be in 0.001 … 100 kg, got -2"),
        ("puck.mass", Discrete((0.3, 0.0)), "parameter 'puck.mass' must be in 0.001 … 100 kg, got 0"),
        ("puck.inertia", Uniform(0.0, 1), "parameter 'puck.inertia' must be in 0.01 … 100 1, got 0"),
        ("puck.inertia", Estimate(-1.0), "parameter 'puck.inertia' must be in 0.01 … 100 1, got -1"),
        ("payload", Curriculum((0, 0), (0, 21)), "parameter 'payload' must be in 0 … 20 kg, got 21"),
        ("payload", LogUniform(1, 21), "parameter 'payload' must be in 0 … 20 kg, got 21"),
        ("payload", LATENCY, "a latency is a time in s, but parameter 'payload' is in kg"),
        ("action_delay", Latency((0, 1), (0, 2)), "parameter 'action_delay' must be in 0 … 0.5 s, got 2"),
    ],
)
def test_what_a_parameter_cannot_be_is_refused_by_its_name(name, distribution, sentence):
    with pytest.raises(ValueError, match="parameter") as caught:
        Randomization((Entry(name, distribution),)).bind("mujoco", TABLE)
    assert sentence in str(caught.value)


def test_other_refusals_name_the_parameter():
    everything = Uniform(0.1, 0.2)
    with pytest.raises(ValueError, match="parameter 'payload' is in kg, got unit 'g'"):
        Randomization((Entry("payload", everything, "g"),)).bind("mujoco", TABLE)
    with pytest.raises(ValueError, match=r"'puck.mass' is matched by both 'puck.m\*' and '\*.mass'; name it"):
        Randomization((Entry("puck.m*", everything), Entry("*.mass", everything))).bind("mujoco", TABLE)
    with pytest.raises(ValueError, match=r"unknown parameter 'puk.mass'; did you mean 'puck.mass'"):
        Randomization((), (Correlated(("puk.mass",), (0.3,), ((0.01,),)),)).bind("mujoco", TABLE)
    with pytest.raises(ValueError, match="parameter 'payload' is in kg, got unit 'g'"):
        Randomization((), (Correlated(("payload",), (0.3,), ((0.01,),), ("g",)),)).bind("mujoco", TABLE)
    with pytest.raises(ValueError, match="parameter 'payload' must be in 0 … 20 kg, got -1"):
        Randomization((), (Correlated(("payload",), (-1.0,), ((0.01,),)),)).bind("mujoco", TABLE)
    with pytest.raises(ValueError, match=r"only 0(.\d+)? % of the joint draws of payload lie in the valid ranges"):
        Randomization((), (Correlated(("payload",), (0.3,), ((1e8,),)),)).bind("mujoco", TABLE)
    with pytest.raises(ValueError, match=r"progress must be in 0 … 1, got 1.5"):
        EVERYTHING.bind("mujoco", TABLE).sample(generators(0), 1.5)


def test_a_body_that_cannot_exist_is_refused_by_its_field():
    with pytest.raises(ValueError, match="body 'puck': inertia must be positive and the largest moment at most the sum of the others"):
        replace(PUCK, inertia=(1.0, 1.0, 3.0))
    with pytest.raises(ValueError, match="body 'puck': inertia must be positive"):
        replace(PUCK, inertia=(1.0, -1.0, 1.0))
    with pytest.raises(ValueError, match="body 'puck': mass must be >= 0"):
        replace(PUCK, mass=-0.3)


FALLING = Randomization(
    (Entry("gravity", Uniform(1.0, 19.0)), Entry("puck.mass", LogUniform(0.1, 10.0)), Entry("*_joint.damping", Uniform(0.0, 1.0)))
)


@pytest.mark.parametrize("engine", ["mujoco", "pybullet"])
def test_a_plant_moves_by_what_was_drawn(engine):
    robot = load_robot("ur5e")
    scene = Scene((replace(PUCK, position=(0.6, 0.6, 1.0)),))
    plant = make_plant(engine, robot, mode="velocity", period=0.05, batch=4, scene=scene)
    drawn = FALLING.for_plant(engine, plant).sample(generators(*range(4)))
    plant.reset(parameters=drawn)
    for _ in range(4):
        plant.advance()
    np.testing.assert_allclose(plant.truth().twists["puck"][:, 2], -0.2 * drawn["gravity"], rtol=0.02)
    plant.close()


@pytest.fixture(scope="module")
def plant_with_puck():
    return make_plant(
        "mujoco", load_robot("ur5e"), mode="velocity", period=0.05, batch=3, scene=Scene((PUCK, GROUND), (("puck", "ground"),))
    )


@settings(max_examples=30, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**63))
def test_a_randomised_model_never_violates_its_declared_ranges(plant_with_puck, data, seed):
    quantities = {  # parameter → its value in a compiled model
        "gravity": lambda model: -model.opt.gravity[2],
        "puck.mass": lambda model: model.body("puck").mass[0],
        "puck.com_y": lambda model: model.body("puck").ipos[1],
        "puck.friction": lambda model: model.pair_friction[0, 0],
        "elbow_joint.damping": lambda model: model.joint("elbow_joint").damping[0],
        "elbow_joint.frictionloss": lambda model: model.joint("elbow_joint").frictionloss[0],
        "elbow_joint.armature": lambda model: model.joint("elbow_joint").armature[0],
    }
    ranges = {name: data.draw(inside(TABLE[name]).filter(lambda ends: ends[0] < ends[1]), label=name) for name in quantities}
    entries = tuple(Entry(name, Uniform(*ends)) for name, ends in ranges.items())
    inertia = Entry("puck.inertia", LogUniform(TABLE["puck.inertia"].low, TABLE["puck.inertia"].high))
    sampler = Randomization((*entries, inertia)).for_plant("mujoco", plant_with_puck)
    plant_with_puck.reset(parameters=sampler.sample(generators(seed, seed + 1, seed + 2)))
    for row in range(3):
        model = plant_with_puck._batch.get_model(row)
        for name, (low, high) in ranges.items():
            floor = 1e-5 if name == "puck.friction" else low  # MuJoCo has no contact without friction
            assert low <= quantities[name](model) <= max(high, floor), name
        first, second, third = np.sort(model.body("puck").inertia)
        assert first > 0
        assert third <= (first + second) * (1 + 1e-12)


def test_what_an_engine_cannot_express_is_refused():
    robot = load_robot("ur5e")
    plant = make_plant("pybullet", robot, mode="velocity", period=0.05)
    for pattern in ("elbow_joint.armature", "elbow*.arm*", "elbow_joint.[ad]*"):
        with pytest.raises(ValueError, match=r"plant 'pybullet' cannot express parameter 'elbow_joint\.armature'"):
            Randomization((Entry(pattern, Uniform(0.1, 0.2)),)).for_plant("pybullet", plant)
    plant.close()


def test_an_appearance_is_drawn_where_a_policy_sees_it_and_refused_elsewhere(monkeypatch):
    task, colorful = get_task("reach"), Randomization(appearance=AppearanceRanges(blur=(0.0, 0.0), noise=(0.0, 0.0)))
    with pytest.raises(ValueError, match="task 'reach' shows its policies no image, so an appearance would change nothing"):
        randomized_plant("mujoco", task, 1, colorful)
    camera = Camera("front", "base_link", (1.0, -1.0, 1.0), (0.0, 0.0, 0.4), 0.9, CameraSpec(24, 24))
    image = Signal("front", "image", (), "1", (), (), dtype="uint8", camera=camera.spec)
    seeing = replace(task, contract=replace(task.contract, observation=(*task.contract.observation, image)))
    monkeypatch.setattr("isthmus_sim.plants.load_robot", lambda name: replace(load_robot(name), cameras=(camera,)))
    with pytest.raises(ValueError, match="plant 'pybullet' cannot express appearance 'lights'"):
        randomized_plant("pybullet", seeing, 1, colorful)
    looks = []
    for randomization in (None, colorful):
        plant, _ = randomized_plant("mujoco", seeing, 2, randomization)
        plant.reset(seeds=[0, 1])
        looks.append(plant.read().images["front"])
        plant.close()
    plain, drawn = looks
    np.testing.assert_array_equal(plain[0], plain[1])
    assert np.abs(drawn[0].astype(float) - drawn[1]).mean() > 5


def given_to(plant, monkeypatch):
    """The parameters of every reset from now on."""
    seen = []
    reset = plant.reset
    monkeypatch.setattr(
        plant,
        "reset",
        lambda rows=None, seeds=None, state=None, parameters=None: (seen.append(parameters), reset(rows, seeds, state, parameters)),
    )
    return seen


def test_an_environment_draws_at_every_reset_and_begins_with_the_episode_of_its_seed(monkeypatch):
    widening = Randomization((Entry("payload", Uniform(0.0, 2.0)), Entry("joint_damping", Curriculum((1.0, 1.0), (0.0, 5.0)))))
    env = make_vec("pendulum", 2, "mujoco", widening)
    seen = given_to(env.plant, monkeypatch)
    env.reset(seed=7)
    env.progress = 0.0
    env.reset()
    scored = widening.for_plant("mujoco", env.plant).randomized(env.task)
    for name, values in episode_start(scored, [7, 8]).parameters.items():
        np.testing.assert_array_equal(seen[0][name], values)
    assert (seen[0]["payload"] != seen[1]["payload"]).all()
    assert (seen[1]["joint_damping"] == 1.0).all()
    env.close()
    single = make("pendulum", "mujoco", widening)
    alone = given_to(single.unwrapped._vector.plant, monkeypatch)
    single.reset(seed=8)
    assert alone[0]["payload"] == seen[0]["payload"][1]
    single.close()


def test_the_start_of_an_episode_does_not_depend_on_what_is_drawn_after_it():
    task = get_task("reach")
    plain, scored = episode_start(task, [3]), episode_start(FALLING.bind("mujoco", TABLE).randomized(task), [3])
    np.testing.assert_array_equal(plain.state["position"], scored.state["position"])
    np.testing.assert_array_equal(plain.inputs["goal"], scored.inputs["goal"])
    assert "gravity" in scored.parameters


EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "randomize").glob("*.yaml"))
SEEN = [path for path in EXAMPLES if path.stem.startswith("peg")]  # what cameras see, which MuJoCo alone draws


@pytest.mark.parametrize("path", SEEN, ids=lambda path: path.stem)
def test_examples_of_appearances_change_what_a_policy_sees(path):
    randomization = load_randomization(path)
    assert randomization.appearance.held_out == path.stem.endswith("held-out")
    plant, _ = randomized_plant("mujoco", get_task("peg"), 1, randomization)
    pictures = []
    for seed in (1, 2, 1):
        plant.reset(seeds=[seed])
        pictures.append(plant.read().images["wrist"].astype(float))
    plant.close()
    assert np.abs(pictures[0] - pictures[1]).mean() > 5
    np.testing.assert_array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path not in SEEN], ids=lambda path: path.stem)
def test_examples_fit_their_task_in_every_engine(path):
    task = get_task(path.stem)
    for engine in task.plants:
        plant = task_plant(engine, task, 2)
        drawn = load_randomization(path).for_plant(engine, plant).sample(generators(0, 1))
        plant.reset(parameters=drawn)
        plant.advance()
        assert np.isfinite(plant.truth().position).all()
        plant.close()


def test_sensor_noise_has_a_random_stream_of_its_own():
    """The seed of an episode draws its start too; noise from the same stream would follow from where the episode begins."""
    seeds = np.arange(400)
    sensors = Sensors(400, 0.05)
    sensors.reset(seeds, seeds.tolist(), {"position_noise": np.ones(400)})
    zeros = np.zeros((400, 1))
    noise = sensors.sense(Measurement(np.zeros(400), ("hinge",), zeros, zeros), np.zeros(400, dtype=np.int64)).position[:, 0]
    starts = np.array([np.random.default_rng(seed).uniform() for seed in seeds])
    assert abs(np.corrcoef(noise, starts)[0, 1]) < 0.15
    again = np.array([np.random.default_rng(seed).standard_normal() for seed in seeds])
    assert not np.isclose(noise, again).any()
