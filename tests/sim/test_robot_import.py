import warnings
from pathlib import Path

import mujoco
import numpy as np
import pybullet
import pybullet_data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import load_robot
from isthmus.kinematics import Kinematics
from isthmus.robot_import import import_urdf
from isthmus.robot_import.elements import origin_attributes, turn
from isthmus.testing import plant_conformance
from isthmus_sim.plants import make_plant
from isthmus_sim.plants.mujoco_model import compile_model
from isthmus_sim.robot_import import import_mjcf

BULLET = Path(pybullet_data.getDataPath())
FILES = {"panda": "franka_panda/panda.urdf", "kuka": "kuka_iiwa/model.urdf", "a1": "a1/a1.urdf"}
ARM = """
<mujoco>
  <compiler angle="radian"/>
  <default><geom density="20"/></default>
  <asset><mesh name="cap" vertex="0 0 0  .1 0 0  0 .1 0  0 0 .1"/></asset>
  <worldbody>
    <body name="table" pos="1 0 0"><freejoint/><geom type="box" size=".1 .1 .1"/></body>
    <body name="pillar" pos="0 0 .2" quat=".8 0 .6 0">
      <geom type="cylinder" size=".05 .1"/>
      <body name="upper" pos="0 .1 .2" quat=".9 .1 .3 .2">
        <joint name="turn" axis="0 0 1" pos=".02 0 .01" range="-1 2" damping=".5" frictionloss=".1" armature=".03"/>
        <joint name="lift" axis="0 1 0" ref=".3" range="-2 2" actuatorfrcrange="-7 7"/>
        <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/>
        <body name="fore" pos=".3 0 0">
          <joint name="slide" type="slide" axis="1 0 0" ref=".05" range="0 .2"/>
          <geom type="mesh" mesh="cap"/><geom type="ellipsoid" size=".1 .1 .2"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="a" joint="lift" kp="50" kv="4"/>
    <motor name="b" joint="turn" gear="3" ctrlrange="-2 2"/>
  </actuator>
  <keyframe><key name="home" qpos="1 0 0 1 0 0 0  .4 .2 .1"/></keyframe>
</mujoco>
"""


@pytest.fixture(scope="module")
def profiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("robots")
    return folder, {name: import_urdf(name, BULLET / file, folder) for name, file in FILES.items()}


@pytest.fixture
def arm(tmp_path):
    (tmp_path / "arm.xml").write_text(ARM)
    return import_mjcf("arm", tmp_path / "arm.xml", tmp_path / "robots")


@pytest.fixture
def client():
    number = pybullet.connect(pybullet.DIRECT)
    yield number
    pybullet.disconnect(number)


@pytest.mark.parametrize("name", FILES)
def test_kinematics_of_an_imported_robot_are_those_of_pybullet_with_the_original_file(profiles, client, name):
    robot = load_robot(name, [profiles[0]])
    kinematics = Kinematics(robot.urdf_path)
    body = pybullet.loadURDF(str(BULLET / FILES[name]), useFixedBase=True, physicsClientId=client)
    joints, links = {}, {}
    for index in range(pybullet.getNumJoints(body, physicsClientId=client)):
        told = pybullet.getJointInfo(body, index, physicsClientId=client)
        joints[told[1].decode()], links[told[12].decode()] = index, index
    generator = np.random.default_rng(0)
    low, high = np.array([joint.position for joint in robot.joints]).T
    for position in generator.uniform(low, high, (10, len(low))):
        for joint, value in zip(robot.joint_names, position, strict=True):
            pybullet.resetJointState(body, joints[joint], value, physicsClientId=client)
        poses = kinematics.poses(robot.joint_names, position[None], kinematics.links)
        for link, index in links.items():
            state = pybullet.getLinkState(body, index, computeForwardKinematics=True, physicsClientId=client)
            np.testing.assert_allclose(poses[link].position[0], state[4], atol=1e-6)


@pytest.mark.parametrize("engine", ["mujoco", "pybullet"])
@pytest.mark.parametrize("name", ["panda", "kuka"])
def test_plants_of_imported_arms_conform(profiles, name, engine):
    robot = load_robot(name, [profiles[0]])
    plant_conformance(lambda batch: make_plant(engine, robot, mode="velocity", period=0.05, batch=batch), mode="velocity", steps=6)


def test_what_the_file_says_is_in_the_profile(profiles):
    panda, kuka, a1 = (profiles[1][name] for name in FILES)
    assert panda.robot.joint_names == (*(f"panda_joint{number}" for number in range(1, 8)), "panda_finger_joint1")
    assert panda.robot.joints[3].position == (-3.1416, 0.0)
    assert [joint.type for joint in panda.robot.joints[-2:]] == ["revolute", "prismatic"]
    assert (panda.robot.base_frame, panda.robot.tool_frame) == ("panda_link0", "panda_grasptarget")
    assert any("panda_finger_joint2 mimics panda_finger_joint1" in note for note in panda.notes)
    assert {joint.effort for joint in kuka.robot.joints} == {300}
    assert any(note.startswith("damping 0.5 stays in the URDF") for note in kuka.notes)
    assert (a1.robot.base.kind, a1.robot.base_frame, len(a1.robot.joints)) == ("floating", "odom", 12)
    assert 0.2 < a1.robot.base.height < 0.5
    assert a1.robot.home[2] == pytest.approx(-0.9163, abs=1e-4)  # 0 is outside the limits of a knee


def test_what_a_person_must_fill_in_is_marked_and_listed(profiles):
    folder, imported = profiles
    text = (folder / "panda" / "robot.yaml").read_text()
    for word in ("stop_acceleration", "servo", "home", "tool_frame", "tracking_lag", "command_modes"):
        assert all("FILL IN" in line for line in text.splitlines() if f"{word}:" in line)
        assert any(word.removeprefix("tracking_") in line.replace("tracking lag", "lag") for line in imported["panda"].fill_in)
    assert "# FILL IN: topics" in text


def test_an_imported_folder_stands_alone_with_its_meshes(profiles):
    for path in profiles[0].glob("*/*.urdf"):
        model = compile_model(load_robot(path.stem, [profiles[0]]), "position", 0.005)
        files = list((path.parent / "meshes").iterdir())
        assert model.nmesh == len(files) > 0
        faces = [sum(line.startswith("f ") for line in file.read_text().splitlines()) for file in files if file.suffix == ".obj"]
        assert sum(model.mesh_facenum) >= sum(faces) > 0  # of an OBJ file with several objects MuJoCo reads some


def test_mjcf_moves_as_in_mujoco(arm, tmp_path):
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "arm.xml"))
    data = mujoco.MjData(model)
    kinematics = Kinematics(arm.robot.urdf_path)
    generator = np.random.default_rng(1)
    for values in generator.uniform(-1, 1, (10, 3)):
        for name, value in zip(("turn", "lift", "slide"), values, strict=True):
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        poses = kinematics.poses(("turn", "lift", "slide"), values[None], ("upper", "fore"))
        for link, pose in poses.items():  # in the frame of the world, as the pillar does not stand upright there
            body = data.body(link)
            np.testing.assert_allclose(pose.position[0], body.xpos, atol=1e-9)
            np.testing.assert_allclose(pose.rotation[0], body.xmat.reshape(3, 3), atol=1e-9)


def test_mjcf_says_more_than_a_urdf(arm):
    lift, turned = arm.robot.joints  # in the order of the actuators
    assert (lift.name, lift.home, lift.effort) == ("lift", 0.2, 7)
    assert (lift.servo.position_gain, lift.servo.velocity_gain) == (50, 4)
    assert (turned.name, turned.position, turned.effort, turned.servo.armature) == ("turn", (-1, 2), 6, 0.03)
    text = "\n".join(arm.notes)
    for words in ("left out: table", "ellipsoid of fore left out", "without an actuator move freely", "slide", "damping 0.5"):
        assert words in text
    plant_conformance(lambda batch: make_plant("mujoco", arm.robot, mode="position", period=0.05, batch=batch), mode="position", steps=6)


@pytest.mark.parametrize(("file", "joints", "kind"), [("pusher_v5", 7, "fixed"), ("ant", 8, "floating"), ("half_cheetah", 6, "fixed")])
def test_mjcf_of_gymnasium_is_read(tmp_path, client, file, joints, kind):
    gymnasium = pytest.importorskip("gymnasium")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # half_cheetah.xml uses a deprecated attribute
        robot = import_mjcf("agent", Path(gymnasium.__file__).parent / f"envs/mujoco/assets/{file}.xml", tmp_path).robot
    assert (len(robot.joints), robot.base.kind) == (joints, kind)
    assert pybullet.loadURDF(str(robot.urdf_path), physicsClientId=client) >= 0


def test_mjcf_that_cannot_be_a_robot_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "robot.xml"
    for text, message in (
        ("<mujoco><worldbody><bdy/></worldbody></mujoco>", r"MuJoCo cannot read it: .*bdy"),
        ("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>", "no joint moves"),
        (
            "<mujoco><worldbody><body><joint type='ball'/><geom size='1'/></body></worldbody></mujoco>",
            "is a ball joint, which a URDF has not",
        ),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            import_mjcf("robot", path, tmp_path)


@given(angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3))
def test_roll_pitch_yaw_gives_the_rotation_back(angles):
    roll, pitch, yaw = angles
    x, y, z = np.eye(3)
    rotation = turn(z, yaw) @ turn(y, pitch) @ turn(x, roll)
    again = [float(word) for word in origin_attributes(np.zeros(3), rotation)["rpy"].split()]
    np.testing.assert_allclose(turn(z, again[2]) @ turn(y, again[1]) @ turn(x, again[0]), rotation, atol=1e-8)
