"""`isthmus robots import`."""

import pytest

URDF = """<robot name="lab">
  <link name="world"/>
  <joint name="mount" type="{mount}"><parent link="world"/><child link="base"/></joint>
  <link name="base"/>
  <joint name="pan" type="continuous"><parent link="base"/><child link="arm"/><axis xyz="0 0 1"/></joint>
  <link name="arm">
    <inertial><mass value="1"/><inertia ixx="1" iyy=".1" izz=".1" ixy="0" ixz="0" iyz="0"/></inertial>
    <visual><geometry><mesh filename="package://lab/meshes/arm.dae"/></geometry></visual>
    <visual><geometry><mesh filename="meshes/lost.stl"/></geometry></visual>
  </link>
  <joint name="lift" type="revolute"><parent link="arm"/><child link="tip"/><axis xyz="0 1 0"/></joint>
  <link name="tip"/>
  <joint name="copy" type="prismatic"><origin xyz="0 0 1" rpy="0 1.5707963267948966 0"/><parent link="arm"/><child link="jaw"/><axis xyz="1 0 0"/>
    <limit lower="0" upper="1"/><mimic joint="lift" multiplier="2" offset="0.5"/></joint>
  <link name="jaw"/>
</robot>
"""


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "arm.dae").write_text("")
    path = tmp_path / "lab.urdf"
    path.write_text(URDF.format(mount="fixed"))
    return path


def test_an_import_shows_the_robot_and_lists_what_was_guessed(isthmus, lab, tmp_path):
    code, out, _ = isthmus("robots", "import", "lab", lab, "--out", tmp_path / "robots")
    assert code == 0
    for words in (
        "position: not in the file for lift",
        "arm.dae left out: .dae is not read by every engine",
        "lost.stl left out: not found",
        "joint copy mimics lift: coupled joints are not simulated, it is fixed at 0.5",
        "inertia of link arm belongs to no rigid body",
        "link tip moves but has no mass",
        "stop_acceleration",
        "--robots",
    ):
        assert words in out
    assert "continuous" in isthmus("robots", "lab", "--robots", tmp_path / "robots")[1]


def test_a_mimic_joint_is_fixed_where_it_would_be(isthmus, lab, tmp_path):
    import numpy as np

    from isthmus.kinematics import Kinematics

    isthmus("robots", "import", "lab", lab, "--out", tmp_path)
    pose = Kinematics(tmp_path / "lab" / "lab.urdf").poses((), np.zeros((1, 0)), ["jaw"])["jaw"]
    np.testing.assert_allclose(pose.position, [[0, 0, 0.5]], atol=1e-12)  # 0.5 along x of a frame that points down


def test_an_import_tells_programs_what_to_fill_in(read_json, lab, tmp_path):
    told = read_json("robots", "import", "lab", lab, "--out", tmp_path, "--json")
    assert told["joints"] == ["pan", "lift"]
    assert any(line.startswith("effort: not in the file for pan, lift") for line in told["fill_in"])


def test_a_floating_joint_makes_a_floating_base(read_json, lab, tmp_path):
    lab.write_text(URDF.format(mount="floating"))
    told = read_json("robots", "import", "lab", lab, "--out", tmp_path, "--json")
    assert "floating joint mount removed: base is a floating base" in told["notes"]
    robot = read_json("robots", "lab", "--robots", tmp_path, "--json")
    assert (robot["base"]["kind"], robot["base_frame"]) == ("floating", "odom")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("<robot", "robot"), "is not XML"),
        (("robot", "sdf"), "is not a URDF: its root element is <sdf>, not <robot>"),
        (('<axis xyz="0 1 0"/>', '<axis xyz="$(optenv AXIS 0 1 0)"/>'), "expand them first: xacro"),
        (('<robot name="lab">', '<robot name="lab" xmlns:xacro="http://ros.org/xacro"><xacro:macro/>'), "expand them first: xacro"),
        (('link name="tip"', 'link name="arm"'), "every link needs a name of its own, got 'arm' twice"),
        (('<child link="tip"/>', '<child link="tap"/>'), "the child of joint 'lift' is not a link of the file"),
        (
            ('<child link="tip"/>', '<child link="arm"/>'),
            "link 'arm' is the child of two joints, 'pan' and 'lift'; loops are not supported",
        ),
        (('type="revolute"', 'type="planar"'), "joint 'lift' is 'planar'; known: revolute, continuous, prismatic, fixed, floating"),
        (('type="revolute"', 'type="floating"'), "floating joint 'lift' is not the one between the world and the robot"),
        (('mimic joint="lift"', 'mimic joint="left"'), "joint 'copy' mimics 'left', which is no joint that moves by itself"),
        (('mass value="1"', 'mass value="one"'), "link 'arm': value of <mass> must be a finite number, got 'one'"),
        (('<axis xyz="0 1 0"/>', '<axis xyz="0 0 0"/>'), "the axis of joint 'lift' is zero"),
        (('<axis xyz="0 1 0"/>', '<axis xyz="0, 1, 0"/>'), "joint 'lift': xyz of <axis> must be 3 finite numbers, got '0, 1, 0'"),
        (
            ('<axis xyz="0 1 0"/>', '<dynamics damping="-5"/>'),
            "lab.urdf: joint 'lift': damping of <dynamics> must be a finite number >= 0, got '-5'",
        ),
        (('<axis xyz="0 1 0"/>', '<dynamics friction="inf"/>'), "friction of <dynamics> must be a finite number >= 0, got 'inf'"),
        (('<axis xyz="0 1 0"/>', '<origin xyz="0 nan 0"/>'), "joint 'lift': xyz of <origin> must be 3 finite numbers, got '0 nan 0'"),
        (('<axis xyz="0 1 0"/>', '<limit effort="a"/>'), "joint 'lift': effort of <limit> must be a number, got 'a'"),
        (('<axis xyz="0 1 0"/>', "<limit/><limit/>"), "joint 'lift' has 2 <limit>, it takes one"),
        (("<mass", '<mass value="2"/><mass'), "<inertial> of link 'arm' has 2 <mass>, it takes one"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence_and_nothing_is_written(refuse, lab, tmp_path, change, message):
    lab.write_text(lab.read_text().replace(*change))
    assert message in refuse("robots", "import", "lab", lab, "--out", tmp_path / "robots")
    assert not (tmp_path / "robots" / "lab").exists()


def test_names_that_are_taken_or_not_valid_are_refused(isthmus, refuse, lab, tmp_path):
    isthmus("robots", "import", "lab", lab, "--out", tmp_path)
    assert "already exists" in refuse("robots", "import", "lab", lab, "--out", tmp_path)
    assert "got 'My Arm'" in refuse("robots", "import", "My Arm", lab, "--out", tmp_path)
    assert "No such file" in refuse("robots", "import", "other", tmp_path / "nothing.urdf")


def test_the_advice_for_a_xacro_file_whose_name_looks_like_an_option_works(refuse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-arm.urdf").write_text('<robot name="arm" xmlns:xacro="http://ros.org/xacro"><xacro:macro/></robot>')
    told = " ".join(refuse("robots", "import", "arm", "./-arm.urdf").split())
    assert "xacro ./-arm.urdf -o ./-arm.expanded.urdf, then import ./-arm.expanded.urdf" in told


def test_the_advice_for_a_xacro_file_overwrites_nothing(refuse, tmp_path):
    path = tmp_path / "arm.urdf"
    path.write_text('<robot name="arm" xmlns:xacro="http://ros.org/xacro"><xacro:macro/></robot>')
    (tmp_path / "arm.expanded.urdf").write_text("of somebody")
    told = refuse("robots", "import", "arm", path, "--out", tmp_path / "robots")
    assert f"xacro {path} -o {tmp_path / 'arm.expanded_2.urdf'}" in " ".join(told.split())


def test_the_order_of_joints_is_to_be_filled_in(read_json, lab, tmp_path):
    told = read_json("robots", "import", "lab", lab, "--out", tmp_path, "--json")
    assert any(line.startswith("order of joints: pan, lift, as in the file") for line in told["fill_in"])
    assert "FILL IN: their order" in (tmp_path / "lab" / "robot.yaml").read_text()


def test_what_is_dropped_or_no_limit_is_named(read_json, lab, tmp_path):
    text = lab.read_text().replace("</robot>", '<transmission name="t"/><gazebo/><gazebo/></robot>')
    lab.write_text(text.replace('<axis xyz="0 1 0"/>', '<axis xyz="0 1 0"/><limit lower="1" upper="-1" velocity="-2"/>'))
    told = read_json("robots", "import", "lab", lab, "--out", tmp_path, "--json")
    for line in (
        "1 <transmission> left out: not used",
        "2 <gazebo> left out: not used",
        "joint lift: its position limits 1 … -1 are no range, others are assumed",
        "joint lift: its velocity limit -2 is no number > 0, 1 is assumed",
    ):
        assert line in told["notes"]
    assert told["engines"] == []


def test_what_no_engine_loads_is_refused_and_nothing_stays(refuse, lab, tmp_path, monkeypatch):
    def broken(name, *_, **__):
        raise ValueError(f"{name} does not like it")

    monkeypatch.setattr("isthmus_sim.engine_agreement.make_plant", broken)
    told = refuse("robots", "import", "lab", lab, "--out", tmp_path / "robots")
    assert "lab.urdf: mujoco cannot load it: mujoco does not like it; pybullet cannot load it: " in " ".join(told.split())
    assert not (tmp_path / "robots" / "lab").exists()


def test_of_two_shapes_in_one_geometry_the_first_one_stays(read_json, lab, tmp_path):
    lab.write_text(lab.read_text().replace("<mesh", '<sphere radius="1"/><box size="1 1 1"/><mesh', 1))
    told = read_json("robots", "import", "lab", lab, "--out", tmp_path, "--json")
    assert "a box of link arm left out: a <geometry> takes one shape, the first one stays" in told["notes"]
    assert told["engines"] == []


def test_numbers_that_look_like_another_unit_are_told(read_json, lab, tmp_path):
    lab.write_text(lab.read_text().replace('<axis xyz="0 1 0"/>', '<axis xyz="0 1 0"/><limit lower="-170" upper="170"/>'))
    told = read_json("robots", "import", "lab", lab, "--out", tmp_path, "--json")
    assert "joint lift: its position limits -170 … 170 rad are many turns; a URDF is in rad, not in degrees" in told["notes"]


def test_the_tool_is_a_link_that_a_joint_moves(read_json, lab, tmp_path):
    mast = [
        f'<joint name="m{n}" type="fixed"><parent link="{["base", "m0", "m1", "m2"][n]}"/><child link="m{n}"/></joint>' for n in range(4)
    ]
    lab.write_text(lab.read_text().replace("</robot>", "".join(mast) + "".join(f'<link name="m{n}"/>' for n in range(4)) + "</robot>"))
    assert read_json("robots", "import", "lab", lab, "--out", tmp_path, "--json")["tool_frame"] == "jaw"
