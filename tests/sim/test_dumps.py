import mujoco
import numpy as np
import pytest

from isthmus import Command, load_robot
from isthmus_sim.dumps import diagnose, finite_steps, load_dump, save_dump
from isthmus_sim.plants import make_plant

XML = """<mujoco><option timestep="0.01"/><worldbody><geom type="plane" size="1 1 1"/>
<body pos="0 0 0.08"><freejoint name="ball"/><geom name="ball" type="sphere" size="0.1"/></body></worldbody></mujoco>"""
STATE = mujoco.mjtState.mjSTATE_INTEGRATION


@pytest.fixture
def dump(tmp_path):
    model = mujoco.MjModel.from_xml_string(XML)
    data = mujoco.MjData(model)
    data.qvel[3] = 500.0
    state = np.empty(mujoco.mj_stateSize(model, STATE))
    mujoco.mj_getState(model, data, state, STATE)
    path = tmp_path / "new" / "row.npz"
    save_dump(path, XML, {"body_mass": np.array([0, 2.5]), "opt.gravity": np.array([0, 0, -1.6])}, state, np.zeros(0))
    return path


def rewritten(path, **changes):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def test_a_dump_brings_back_state_and_model_of_the_row(dump):
    loaded = load_dump(dump)
    assert loaded.model.body_mass[1] == 2.5
    assert loaded.model.opt.gravity[2] == -1.6
    assert loaded.data.qvel[3] == 500.0
    assert loaded.data.ncon == 1


def test_diagnosis_names_joint_energy_and_contact(dump):
    found = dict(diagnose(load_dump(dump)))
    assert found["largest velocity"] == "500 rad/s at ball.rx (too fast)"
    assert found["deepest contact"].startswith("20 mm between")
    assert "kinetic" in found["energy"]


def test_a_plant_s_exploding_row_can_be_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo must not leave its log there
    plant = make_plant("mujoco", load_robot("ur5e"), mode="velocity", period=0.05, batch=2)
    velocity = np.zeros((2, 6))
    velocity[1, 2] = 3000.0
    plant.reset(state={"velocity": velocity}, parameters={"payload": np.array([0.0, 2.0])})
    plant.write(Command("velocity", plant.robot.joint_names, np.zeros((2, 6))))
    plant.advance()
    assert not np.isfinite(plant.truth().position[1]).all()
    plant.dump(1, tmp_path / "row.npz")
    plant.close()
    loaded = load_dump(tmp_path / "row.npz")
    tool = loaded.model.body("tool0").id
    assert loaded.model.body_mass[tool] == plant.model.body_mass[tool] + 2.0
    found = dict(diagnose(loaded))
    assert found["largest velocity"] == "3000 rad/s at elbow_joint (too fast)"
    assert found["from there"].startswith("not finite after")
    assert sum(1 for _ in finite_steps(loaded, 1.0)) < 10
    (tmp_path / "MUJOCO_LOG.TXT").unlink(missing_ok=True)


def test_what_is_no_dump_is_refused_by_name(dump, tmp_path):
    text = tmp_path / "text.npz"
    text.write_text("not a dump")
    with pytest.raises(ValueError, match="is not a dump of a simulation"):
        load_dump(text)
    np.savez(text, model=np.array([{"an": "object"}], dtype=object), state=np.zeros(1), ctrl=np.zeros(0))
    with pytest.raises(ValueError, match="is not a dump of a simulation"):
        load_dump(text)
    with pytest.raises(OSError, match="No such file"):
        load_dump(tmp_path / "nothing.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ctrl": None}, "array 'ctrl' is missing; it has: field/body_mass, field/opt.gravity, model, state"),
        ({"state": np.zeros(3)}, r"'state' must be \[\d+\] for this model, got \[3\]"),
        ({"field/body_mas": np.zeros(2)}, "MuJoCo's model has no field 'body_mas'; did you mean 'body_mass'?"),
        ({"field/body_mass": np.zeros(9)}, r"'field/body_mass' must be \[2\] for this model, got \[9\]"),
        ({"model": np.frombuffer(b"<mujoco", np.uint8)}, "the model cannot be compiled"),
    ],
)
def test_damaged_dumps_are_refused_by_array(dump, changes, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        load_dump(rewritten(dump, **changes))
