"""Bodies that turn or slide on a joint which nothing drives: their orientation or place as a signal, and what a strike says of a lid."""

import mujoco
import numpy as np
import pytest

from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.objects import ObjectStates, object_noise
from isthmus_sim.identification.problem import make_problem, open_logs, read_parameter_file
from isthmus_sim.identification.touch import clear_samples

MODEL = """<mujoco><option timestep="0.005" integrator="implicitfast" cone="elliptic"/><worldbody>
<body name="head" pos="0 0.25 0.1"><joint name="slider" type="slide" axis="1 0 0" damping="2"/><geom type="sphere" size="0.02" mass="1"/></body>
<body name="frame"><body name="lid" pos="0.1 0 0.1" euler="0 0 90">
<joint name="lid_hinge" axis="0 0 1" damping="{damping}" frictionloss="{friction}"/>
<geom type="box" size="0.15 0.01 0.05" pos="0.15 0 0" mass="0.5"/></body></body>
</worldbody><actuator><position joint="slider" kp="60" kv="6"/></actuator></mujoco>"""
PARAMETERS = """signals:
  time: t
  position: {slider: q}
  position_command: {slider: u}
  pose: {lid: [x, y, z, qw, qx, qy, qz]}
unknown:
  lid_hinge.damping: [0, 0.2]
  lid_hinge.frictionloss: [0, 0.3]
"""
TRUTH = {"damping": 0.04, "friction": 0.08}


def strike(path, way, seed=0):
    """Write a CSV at 50 Hz: the slider goes to and fro in a second, and the lid swings on; its place is off, as of a wrongly measured hinge."""
    generator = np.random.default_rng(seed)
    model = mujoco.MjModel.from_xml_string(MODEL.format(**TRUTH))
    data = mujoco.MjData(model)
    rows = []
    for index in range(160):
        asked = way * (1 - np.cos(2 * np.pi * min(max(index - 10, 0) / 50, 1.0))) / 2
        mujoco.mj_forward(model, data)
        turn = data.body("lid").xquat + np.append(0.0, generator.normal(0, 1e-3, 3))
        rows.append([data.time, data.qpos[0], asked, *(data.body("lid").xpos + 0.03), *turn])
        data.ctrl[:] = asked
        for _ in range(4):
            mujoco.mj_step(model, data)
    np.savetxt(path, np.array(rows), delimiter=",", header="t,q,u,x,y,z,qw,qx,qy,qz", comments="")
    return path


@pytest.fixture(scope="module")
def lid(tmp_path_factory):
    """A problem, and a recording that is held out."""
    folder = tmp_path_factory.mktemp("lid")
    (folder / "lid.xml").write_text(MODEL.format(damping=0.01, friction=0.02))
    (folder / "p.yaml").write_text(PARAMETERS)
    file, target = read_parameter_file(folder / "p.yaml"), find_target(str(folder / "lid.xml"))
    paths = [strike(folder / f"{seed}.csv", way, seed) for seed, way in enumerate((0.22, 0.3, 0.26))]
    logs = open_logs(paths, file, target)
    return make_problem(target, file, logs[:2]), make_problem(target, file, logs[2:]).logs


def test_a_strike_tells_how_a_hinge_turns(lid):
    problem, held = lid
    assert (problem.mechanism.objects, dict(problem.mechanism.hinged)) == (("lid",), {"lid": "lid_hinge"})
    assert problem.objects_alone
    found = identify(problem, FitOptions(starts=1), holdout=held, threads=1)
    values = dict(zip(problem.names, found.known.values, strict=True))
    assert values["lid_hinge.damping"] == pytest.approx(TRUTH["damping"], abs=0.01)
    assert values["lid_hinge.frictionloss"] == pytest.approx(TRUTH["friction"], abs=0.02)
    assert found.linear.chi2 < 2  # a place that is 5 cm off, as that of a wrongly measured hinge is, does not count
    assert found.prediction.joints == ("lid, rotation",)
    assert (found.prediction.fitted < 0.3 * found.prediction.nominal)[-1].all()
    assert "NOT IDENTIFIABLE" not in found.known.verdicts
    assert found.objections == ()


def test_where_a_hinge_may_be_elsewhere_nothing_near_it_is_clear(lid):
    (problem, _), near = lid, []
    log = problem.logs[0]
    for unsure in (0.0, 0.05):
        near.append(clear_samples(problem.mechanism, log, unsure))
    assert near[0][:5].all()
    assert (near[0] & ~near[1]).any()
    assert not (near[1] & ~near[0]).any()
    assert np.isinf(object_noise(problem.mechanism, [log])["lid"][0])


@pytest.mark.parametrize(("joint", "range_"), [("hinge", (2.0, 5.0)), ("slide", (0.0, 1.0))])
def test_coordinates_are_told_from_poses_and_back(joint, range_):
    text = f"""<mujoco><worldbody><body pos="1 2 3" euler="30 20 10"><body name="b" pos="0.1 0 0" euler="0 40 0">
<joint name="j" type="{joint}" axis="0 0.6 0.8" range="{range_[0]} {range_[1]}"/><geom size="0.1"/></body></body></worldbody>
<compiler angle="radian"/></mujoco>"""
    model = mujoco.MjModel.from_xml_string(text)
    data, states = mujoco.MjData(model), ObjectStates(model, ["b"], {"b": "j"})
    data.qpos[0], data.qvel[0] = range_[0] + 0.9 * (range_[1] - range_[0]), 0.7  # of a hinge 4.7 rad: the same pose as -1.6 rad
    mujoco.mj_forward(model, data)
    w, *xyz = data.body("b").xquat
    pose, spin = np.array([[[*data.body("b").xpos, *xyz, w]]]), data.cvel[2, :3]
    twist = np.zeros((1, 1, 6))
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, 2, velocity := np.zeros(6), 0)
    twist[0, 0, :3], twist[0, 0, 3:] = velocity[3:], data.body("b").xmat.reshape(3, 3).T @ spin
    position, speed = np.zeros((1, 1)), np.zeros((1, 1))
    states.write(position, speed, np.array([0]), pose, twist)
    assert position[0, 0] == pytest.approx(data.qpos[0])
    assert speed[0, 0] == pytest.approx(0.7)
    shown = states.read(position)[0, 0]
    np.testing.assert_allclose(shown[:3], pose[0, 0, :3], atol=1e-9)
    assert abs(shown[3:] @ pose[0, 0, 3:]) == pytest.approx(1.0)
