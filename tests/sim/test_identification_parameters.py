"""The parameters of any model: names, setters, and inertias that are those of a body."""

import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch

sys.path.insert(0, str(Path(__file__).parent))
from arm_logs import EFFORTS, NOMINAL, model_text, simulate, unknown, write_csv

from isthmus_sim.identification.mechanism import Servo, build_mechanism, find_target
from isthmus_sim.identification.problem import make_problem, open_logs, read_parameter_file
from isthmus_sim.identification.table import check_apart, model_table
from isthmus_sim.inertia import from_log_cholesky, from_pseudo_inertia, point_mass, pseudo_inertia, to_log_cholesky
from isthmus_sim.plants.mujoco_friction import FRICTION_LAW
from isthmus_sim.plants.mujoco_parameters import ELSEWHERE, RowParameters

CAN = """<mujoco><worldbody><body name="stand" pos="0 0 1"><geom size=".1" friction="0.7"/></body>
<body name="arm"><joint name="j" axis="0 1 0" damping="0.1"/><geom size=".05" pos=".2 0 0" mass="1"/>
<body name="hand" pos=".4 0 0"><joint name="w" axis="0 1 0"/>
<inertial pos="0.1 0 0.02" mass="0.5" fullinertia="0.003 0.002 0.004 0.0003 0 0"/></body></body>
</worldbody><actuator><position joint="j" kp="10" kv="1"/><position joint="w" kp="5" kv=".5"/></actuator></mujoco>"""


def test_every_setter_changes_what_the_model_does():
    model = mujoco.MjSpec.from_string(CAN)
    for body in model.bodies:
        body.simple = 0
    model = model.compile()
    table = model_table(model)
    names = [name for name in table if name not in ELSEWHERE and not name.endswith(".offset") and name[:9] != "payload.x"]
    names = [name for name in names if name not in ("payload.y", "payload.z") and name.rpartition(".")[2] not in FRICTION_LAW]
    batch = Batch(model, nsim=2, nthread=1)
    fields = {}
    for name in names:
        writer = RowParameters(model, batch, table, tool="hand")
        row = table[name]
        step = 0.1 * min(row.high - row.nominal, 1.0) or -0.1 * min(row.nominal - row.low, 1.0)
        writer.write(np.arange(2), {name: np.array([row.nominal, row.nominal + step])})
        changed = [field for field in writer._fields if not np.array_equal(writer.fields(0)[field], writer.fields(1)[field])]
        assert changed, name
        fields[name] = changed
        writer.write(np.arange(2), {})  # back to nominal
        for values in writer._fields.values():
            np.testing.assert_allclose(np.asarray(values[1], dtype=float), np.asarray(values[0], dtype=float), atol=1e-12, err_msg=name)
    assert fields["hand.com_x"] == ["body_ipos"]
    assert set(fields["j.damping_gain"]) == {"actuator_biasprm"}


def test_a_payload_is_a_body_that_is_there():
    spec = mujoco.MjSpec.from_string(CAN)
    model = spec.compile()
    loaded = CAN.replace(
        "</body></body>",
        '<body pos="0.05 0.02 -0.1"><inertial pos="0 0 0" mass="0.8" diaginertia="1e-12 1e-12 1e-12"/></body></body></body>',
        1,
    )
    other = mujoco.MjModel.from_xml_string(loaded)
    batch = Batch(model, nsim=1, nthread=1)
    values = {"payload": 0.8, "payload.x": 0.05, "payload.y": 0.02, "payload.z": -0.1}
    RowParameters(model, batch, model_table(model), tool="hand").write(
        np.arange(1), {name: np.array([value]) for name, value in values.items()}
    )
    ours, theirs = batch.get_model(0), other
    found = []
    for one in (ours, theirs):
        data = mujoco.MjData(one)
        data.qpos[:], data.qvel[:] = [0.3, -0.4], [0.5, 0.2]
        mujoco.mj_forward(one, data)
        full = np.zeros((2, 2))
        mujoco.mj_fullM(one, data, full)
        found.append(np.concatenate([full.ravel(), data.qfrc_bias]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_log_cholesky_numbers_are_always_a_body():
    numbers = np.random.default_rng(0).normal(0, 0.7, (1000, 10))
    whole = from_log_cholesky(numbers)
    assert (np.linalg.eigvalsh(whole) > 0).all()
    mass, centre, moments, rotation = from_pseudo_inertia(whole)
    assert (mass > 0).all()
    assert (2 * moments.max(-1) <= moments.sum(-1) * (1 + 1e-12)).all()
    np.testing.assert_allclose(pseudo_inertia(mass, centre, moments, rotation), whole, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(to_log_cholesky(whole), numbers, rtol=1e-7, atol=1e-7)
    with pytest.raises(ValueError, match="no mass density"):
        to_log_cholesky(point_mass(np.array(1.0), np.array([0.1, 0.0, 0.0])))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["j1.gain", "j1.torque_scale"], "two names for one quantity"),
        (["link.mass", "link.alpha"], "log-Cholesky"),
        (["joint_damping", "j1.damping"], "two names"),
        (["j1.damping", "j1.damping_gain"], "both brake j1"),
        (["j1.torque_scale", "j1.drive_gain"], "both scale the torque of j1"),
    ],
)
def test_two_names_for_one_quantity_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        check_apart(names)


def problem_of(tmp_path, text):
    (tmp_path / "arm.xml").write_text(model_text(NOMINAL))
    (tmp_path / "p.yaml").write_text(text)
    log = write_csv(tmp_path / "log.csv", *simulate(seconds=2.0))
    file = read_parameter_file(tmp_path / "p.yaml")
    target = find_target(str(tmp_path / "arm.xml"))
    return make_problem(target, file, open_logs([log], file, target))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("  elbow.damping: [0, 1]", r"unknown parameter 'elbow\.damping'"),
        ("  j1.damping: [1, 2]", "exclude its nominal value 0.4"),
        ("  j1.damping: [2, 1]", "two increasing numbers"),
        ("  j1.damping: [-1, 1]", "bounds of 'j1.damping' must be in 0 … 50"),
        ("  j1.gain: [0.5, 2]", "use .torque_scale|unknown parameter"),
        ("  payload: {bounds: [0, 2], logs: [other.csv]}", "unknown in log 'other.csv'"),
        ("  j1.damping: [0, 1]\nprior: {j2.damping: {mean: 1, sd: 0.1}}", "prior of 'j2.damping', which is not unknown"),
    ],
)
def test_wrong_parameters_are_one_sentence(tmp_path, line, message):
    with pytest.raises(ValueError, match=message):
        problem_of(tmp_path, EFFORTS + "unknown:\n" + line + "\n")


def test_names_bind_and_joints_without_a_log_stand_still(tmp_path):
    problem = problem_of(tmp_path, EFFORTS + unknown())
    assert problem.mechanism.joints == ("j1", "j2")
    assert problem.names[-1] == "action_delay"
    (tmp_path / "one.yaml").write_text("signals: {time: t, position: {j1: q1}, effort_command: {j1: u1}}\n")
    mechanism = build_mechanism(find_target(str(tmp_path / "arm.xml")), ["j1"], "effort")
    assert mechanism.model.nv == 1
    assert any("held still: j2" in note for note in mechanism.notes)


def test_positions_need_a_servo(tmp_path):
    (tmp_path / "arm.xml").write_text(model_text(NOMINAL))
    target = find_target(str(tmp_path / "arm.xml"))
    with pytest.raises(ValueError, match=r"no position servo.*servo: \{kp: 20, kd: 1.5\}"):
        build_mechanism(target, ["j1", "j2"], "position")
    gains = dict.fromkeys(("j1", "j2"), Servo(20.0, 1.5))
    model = build_mechanism(target, ["j1", "j2"], "position", servo=gains).model
    assert model.actuator_gainprm[:, 0].tolist() == [20.0, 20.0]


def test_what_is_no_target_is_said(tmp_path):
    with pytest.raises(ValueError, match="'ur5f' is no task, robot or model file"):
        find_target("ur5f")
    (tmp_path / "bad.xml").write_text("<mujoco><worldbody><body><joint name='j'/></body></worldbody></mujoco>")
    with pytest.raises(ValueError, match="cannot be simulated"):
        build_mechanism(find_target(str(tmp_path / "bad.xml")), ["j"], "effort")
