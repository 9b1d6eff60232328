"""What an import writes is the same robot for the core and for both engines."""

import struct

import numpy as np
import pytest
from urdf_parts import arm, body, imported, joint, legs, written

from isthmus import load_robot
from isthmus.kinematics import Kinematics
from isthmus.numerals import number_text
from isthmus.records import Command
from isthmus.robot_import import import_urdf
from isthmus_sim.engine_agreement import compare_engines
from isthmus_sim.plants import make_plant
from isthmus_sim.plants.mujoco_model import compile_model
from isthmus_sim.robot_import import import_mjcf
from isthmus_sim.scene import Scene


def test_the_length_of_an_axis_changes_nothing(tmp_path):
    slide = joint("slide", "arm", "rod", kind="prismatic", axis="0 0 -2")
    found = imported(tmp_path, *arm(axis="0 0 0.01"), slide, body("rod"))
    assert sum("an axis is a direction" in note for note in found.notes) == 2
    report = compare_engines(found.robot)
    assert report.lines == ()
    assert report.broken == ()


def test_plants_correct_what_pybullet_misreads_in_a_profile_by_hand(tmp_path):
    found = imported(tmp_path, *arm(kind="continuous"), joint("slide", "arm", "rod", kind="prismatic"), body("rod"))
    urdf = found.robot.urdf_path
    urdf.write_text(urdf.read_text().replace('xyz="0 0 1"', 'xyz="0 0 3"').replace('effort="30"', 'effort="30" lower="0" upper="0"', 1))
    assert 'lower="0" upper="0"' in urdf.read_text()
    report = compare_engines(load_robot("mine", [tmp_path / "robots"]))
    assert report.lines == ()
    assert report.broken == ()


def test_a_rotor_on_a_body_that_turns_alone_is_no_difference(tmp_path):
    """MuJoCo computes the inertia of such a body once, with the rotor: it was reported as another mass."""
    geometry = '<geom type="capsule" size="0.03 0.1" mass="1"/>'
    (tmp_path / "one.xml").write_text(
        f'<mujoco><worldbody><body name="arm"><joint name="turn" axis="0 1 0" armature="0.1"/>{geometry}</body></worldbody>'
        '<actuator><position joint="turn" kp="20" kv="1"/></actuator></mujoco>'
    )
    report = compare_engines(import_mjcf("mine", tmp_path / "one.xml", tmp_path / "robots").robot)
    assert report.lines == ()
    assert report.apart["mujoco"][1] < 1e-9


def test_a_continuous_joint_turns_whatever_its_limits_say(tmp_path):
    found = imported(tmp_path, *arm(kind="continuous", limit='lower="0" upper="0" effort="30" velocity="10"'))
    assert any("turn is continuous: its position limits 0 … 0 are left out" in note for note in found.notes)
    for engine in ("mujoco", "pybullet"):
        plant = make_plant(engine, found.robot, mode="position", period=0.02)
        plant.reset(seeds=[0])
        for _ in range(50):
            plant.write(Command("position", ("turn",), np.array([[1.0]])))
            plant.advance()
        assert plant.truth().position[0, 0] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("fixed", [False, True])
def test_walking_robots_float_and_their_legs_stay_still_in_free_fall(tmp_path, fixed):
    found = imported(tmp_path, *legs('<link name="base"/>', fixed))
    assert (found.robot.base.kind, any("has no mass: it gets that of trunk" in note for note in found.notes)) == ("floating", fixed)
    assert compare_engines(found.robot).lines == ()
    for engine in ("mujoco", "pybullet"):
        plant = make_plant(engine, found.robot, mode="position", period=0.02, scene=Scene())
        plant.reset(seeds=[0])
        for _ in range(10):
            plant.write(Command("position", found.robot.joint_names, found.robot.home[None]))
            plant.advance()
            assert np.abs(plant.truth().velocity).max() < 0.01


def test_arms_that_hang_from_a_base_on_wheels_are_no_legs(tmp_path):
    wheels = []
    for side in "lr":
        wheels += [joint(f"{side}_spring", "trunk", f"{side}_fork", "prismatic"), body(f"{side}_fork")]
        wheels += [joint(side, f"{side}_fork", f"{side}_wheel", "continuous", "0 1 0"), body(f"{side}_wheel")]
    found = imported(tmp_path, *legs("", False), *wheels)
    assert found.robot.base.kind == "fixed"
    assert any("l, r look like wheels" in note for note in found.notes)


def test_servos_that_are_unstable_are_refused(tmp_path):
    robot = imported(tmp_path, *legs("", False)).robot
    profile = tmp_path / "robots" / "mine" / "robot.yaml"
    text = profile.read_text()
    gain = robot.joints[0].servo.velocity_gain
    profile.write_text(text.replace(f"velocity_gain: {number_text(gain)}", "velocity_gain: 30"))
    with pytest.raises(ValueError, match=r"cannot hold 'mine': at steps of 0.002 s its servos are unstable, that of hip. most"):
        make_plant("pybullet", load_robot("mine", [tmp_path / "robots"]), mode="position", period=0.02)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (arm(), "base taken as fixed: stand does not move"),
        (
            [
                body("base"),
                *[part for side in "lr" for part in (joint(side, "base", f"{side}_wheel", "continuous", "0 1 0"), body(f"{side}_wheel"))],
            ],
            "base taken as fixed in the air, but l, r look like wheels",
        ),
        (
            [
                body("torso"),
                *[
                    part
                    for side in "lr"
                    for part in (
                        joint(f"{side}1", "torso", f"{side}_arm"),
                        body(f"{side}_arm"),
                        joint(f"{side}2", f"{side}_arm", f"{side}_hand"),
                    )
                ],
                body("l_hand"),
                body("r_hand"),
            ],
            "base taken as fixed: torso does not move",
        ),
    ],
)
def test_what_the_base_was_taken_for_is_said(tmp_path, parts, line):
    found = imported(tmp_path, *parts)
    assert found.robot.base.kind == "fixed"
    assert any(note.startswith(line) for note in found.notes)


def corners(size):
    points = [(x, y, z) for x in (-size, size) for y in (-size, size) for z in (-size, size)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return [tuple(points[i] for i in three) for a, b, c, d in faces for three in ((a, b, c), (a, c, d))]


def binary(triangles):
    data = b"".join(struct.pack("<12fH", 0, 0, 0, *[value for point in triangle for value in point], 0) for triangle in triangles)
    return bytes(80) + struct.pack("<I", len(triangles)) + data


def ascii_text(triangles):
    facets = "".join(
        "facet normal 0 0 0\n outer loop\n" + "".join(f"  vertex {x} {y} {z}\n" for x, y, z in triangle) + " endloop\nendfacet\n"
        for triangle in triangles
    )
    return f"solid box\n{facets}endsolid box\n".encode()


TETRAHEDRON = b"v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nvn 0 0 1\nvn 0 1 0\nvt 0 0\n"
FLAT = [((0, 0, 0), (0.1, 0, 0), (0.1, 0.1, 0)), ((0, 0, 0), (0.1, 0.1, 0), (0, 0.1, 0))]


@pytest.mark.parametrize(
    ("name", "data", "scale", "line"),
    [
        ("box.stl", binary(corners(0.1)), "1 1 1", "1 meshes copied"),
        ("box.STL", binary(corners(0.1)), "1 1 1", "1 meshes copied"),
        ("box.stl", binary(corners(100)), "0.001 -0.001 0.001", "1 meshes copied"),
        ("box.stl", ascii_text(corners(0.1)), "1 1 1", "mesh box.stl was ASCII and is written as binary STL"),
        ("box.stl", b"", "1 1 1", "left out: it is empty"),
        ("box.stl", binary([]), "1 1 1", "left out: it is empty"),
        ("box.stl", binary(FLAT), "1 1 1", "left out: it is flat"),
        ("box.stl", binary(FLAT[:1]), "1 1 1", "left out: it has 3 different corners"),
        ("box.stl", binary(corners(1e-6)), "1 1 1", "left out: it encloses no volume that counts"),
        ("box.stl", binary(corners(0.1)), "1e-6 1e-6 1e-6", "left out: it encloses no volume that counts"),
        ("box.stl", binary(corners(0.1)), "1 0 1", "left out: its scale must be three numbers that are not 0"),
        ("box.stl", binary(corners(0.1) * 20_000), "1 1 1", "left out: it has 240000 triangles"),
        ("box.obj", b"v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n", "1 1 1", "1 meshes copied"),
        ("box.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "1 1 1", "left out: line 4: a face names vertex 9; the file has 1 to 3"),
        ("box.obj", b"v 0 0 0\n", "1 1 1", "left out: it is empty"),
        ("box.obj", b"", "1 1 1", "left out: it is empty"),
        ("box.stl", binary(corners(0.1)) + b"more", "1 1 1", "1 meshes copied"),
        (
            "box.stl",
            binary(corners(0.1))[:-9],
            "1 1 1",
            "left out: it has 675 bytes and is no STL file: a binary one has 84 and 50 for each triangle, 684",
        ),
        ("box.stl", b"<html>404</html>", "1 1 1", "left out: it has 16 bytes and is no STL file"),
        ("box.stl", b"solid\n vertex 0 0 0\n vertex 0 1\n", "1 1 1", "left out: line 3: vertex takes three finite numbers, got '0 1'"),
        ("box.stl", b"solid\n vertex 0 0 0\n vertex 0 1 0\n", "1 1 1", "left out: it has 2 lines 'vertex x y z'; a triangle has three"),
        (
            "box.obj",
            TETRAHEDRON + b"f 1 3 2\nf 1/1 2/1 4/1\nf 2//1 3//1 4//2\nf 1/1/1 4/1/1 3/1/2\n",
            "1 1 1",
            "normals of 1 OBJ meshes left out",
        ),
        ("box.obj", TETRAHEDRON + b"f 1//1 3//1 2//1\nf 1//1 2//2 4//9\n", "1 1 1", "normals of 1 OBJ meshes left out"),
        ("box.obj", TETRAHEDRON + b"f -4 -2 -3\nf -4 -3 -1\nf -3 -2 -1\nf -4 -1 -2\n", "1 1 1", "1 meshes copied"),
        ("box.obj", TETRAHEDRON + b"f 0 1 2\n", "1 1 1", "left out: line 8: a face names vertex 0; the file has 1 to 4"),
        ("box.obj", TETRAHEDRON + b"f -5 1 2\n", "1 1 1", "left out: line 8: a face names vertex 0; the file has 1 to 4"),
        (
            "box.obj",
            TETRAHEDRON + b"f a b c\n",
            "1 1 1",
            "left out: line 8: a corner of a face is v, v/vt, v//vn or v/vt/vn in whole",
        ),
        ("box.obj", TETRAHEDRON + b"f 1 2\n", "1 1 1", "left out: line 8: a face has three corners or more, got 2"),
        ("box.obj", b"v 0 nan 0\n", "1 1 1", "left out: line 1: v takes three finite numbers, got '0 nan 0'"),
        ("box.obj", b"v 0 1_0 0\n", "1 1 1", "left out: line 1: v takes three finite numbers, got '0 1_0 0'"),
        ("box.obj", TETRAHEDRON + b"f 1 2 0_3\n", "1 1 1", "left out: line 8: a corner of a face is v, v/vt, v//vn or v/vt/vn in whole"),
    ],
)
@pytest.mark.parametrize("tag", ["visual", "collision"])
def test_what_was_imported_loads_in_both_engines(tmp_path, tag, name, data, scale, line):
    (tmp_path / name).write_bytes(data)
    shape = f'<{tag}><geometry><mesh filename="{name}" scale="{scale}"/></geometry></{tag}>'
    found = imported(tmp_path, *arm(more=shape))
    assert any(line in note for note in found.notes), found.notes
    model = compile_model(found.robot, "position", 0.005)
    assert model.ngeom == ("left out: " not in line)
    make_plant("pybullet", found.robot, mode="position", period=0.02)


@pytest.mark.parametrize(
    ("address", "file", "line"),
    [
        ("https://example.com/meshes/box.stl", "meshes/box.stl", "left out: https:// is not fetched; save the file beside the URDF"),
        ("package://other/meshes/box.stl", "meshes/box.stl", "no folder above it is called other, as package://other says"),
        ("package://other/meshes/box.stl", "other/meshes/box.stl", ""),
        ("model://other/meshes/box.stl", "../other/meshes/box.stl", ""),
        ("meshes/box.stl", "../meshes/box.stl", "1 meshes taken from ../meshes, as seen from the URDF: meshes beside it has none"),
        ("file://meshes/box.stl", "meshes/box.stl", ""),
        ("file://meshes/box.stl", "../meshes/box.stl", "left out: not found"),
    ],
)
def test_a_mesh_that_is_taken_from_elsewhere_is_told(tmp_path, address, file, line):
    (folder := tmp_path / "robot").mkdir()
    (folder / file).resolve().parent.mkdir(parents=True)
    (folder / file).write_bytes(binary(corners(0.1)))
    notes = imported(folder, *arm(more=f'<visual><geometry><mesh filename="{address}"/></geometry></visual>')).notes
    if line:
        assert any(line in note for note in notes), notes
    else:
        assert not [note for note in notes if "mesh" in note and note != "1 meshes copied to meshes/"]


def test_shapes_that_do_not_collide_are_drawn(tmp_path):
    shapes = '<visual><geometry><box size=".1 .1 .1"/></geometry></visual>'
    robot = imported(tmp_path, *arm(more=shapes)).robot
    robot.urdf_path.write_text(robot.urdf_path.read_text().replace('discardvisual="false"', ""))
    model = compile_model(robot, "position", 0.005)
    assert model.ngeom == 1
    assert model.geom_group[0] <= 2
    assert model.body_mass.sum() == pytest.approx(0.5)


@pytest.mark.parametrize(
    "limit",
    [
        'lower="-1" upper="1" effort="5" velocity="10000"',
        'lower="-1" upper="1" effort="0.00005" velocity="10"',
        'lower="-1e16" upper="1e16" effort="5" velocity="10"',
    ],
)
def test_numbers_come_back_as_they_were_written(tmp_path, limit):
    joint = imported(tmp_path, *arm(limit=limit)).robot.joints[0]
    said = dict(word.split("=") for word in limit.replace('"', "").split())
    assert (*joint.position, joint.effort, joint.velocity) == tuple(float(said[word]) for word in ("lower", "upper", "effort", "velocity"))


def test_a_light_rotor_of_mjcf_comes_back(tmp_path):
    path = tmp_path / "rotor.xml"
    path.write_text(
        '<mujoco><worldbody><body><joint name="turn" axis="0 0 1" range="-60 60" armature="0.00001"/>'
        '<geom type="capsule" fromto="0 0 0 .2 0 0" size=".02"/></body></worldbody>'
        '<actuator><position joint="turn" kp="5" kv="0.5"/></actuator></mujoco>'
    )
    assert import_mjcf("rotor", path, tmp_path).robot.joints[0].servo.armature == 1e-5


def test_arms_are_held_by_gains_that_were_guessed(tmp_path):
    """Light links far out: gains that an explicit servo could have let this one sag by half a radian in MuJoCo."""
    parts = ['<link name="stand"/>']
    for number in range(4):
        parent = f"link{number - 1}" if number else "stand"
        parts += [joint(f"joint{number}", parent, f"link{number}", axis="0 1 0"), body(f"link{number}", m=0.1, i=0.00005)]
    report = compare_engines(imported(tmp_path, *parts).robot)
    sags = [float(line.split(" ends ")[1].split()[0]) for line in report.lines]  # of what differs only the sag of a soft servo is left
    assert max(sags, default=0) < 0.1
    assert report.broken == ()
    assert max(far for far, _ in report.apart.values()) < 1e-6


def test_a_motor_too_weak_for_its_arm_is_told(tmp_path):
    found = imported(tmp_path, *arm(axis="0 1 0", limit='lower="-1" upper="1" effort="0.2" velocity="10"'))
    lines = compare_engines(found.robot).lines
    assert "joint turn needs 0.245 N·m to carry the weight at home, its effort is 0.2" in lines
    assert any("told to stay at home" in line for line in lines)


def test_a_damper_that_pybullet_cannot_integrate_is_refused(tmp_path):
    damped = [part.replace("<axis", '<dynamics damping="5"/><axis') for part in legs("", False)]
    found = imported(tmp_path, *damped)
    report = compare_engines(found.robot)
    assert report.broken == ("pybullet",)
    assert any("and damping 5 of the URDF on" in line for line in report.lines)


@pytest.mark.parametrize(
    ("moments", "kept"),
    [
        ('ixx="0" iyy="0.02" izz="0.02" ixy="0"', 0.02),  # a thin rod
        ('ixx="2e-20" iyy="5e-20" izz="1e-20" ixy="-1e-21"', 0.4 * 0.5 * 0.02**2),  # what a CAD program left of zero
        ('ixx="0.1" iyy="0.02" izz="0.02" ixy="0"', 0.14 / 3),  # of no body
    ],
)
def test_moments_that_no_body_has_are_lifted_and_the_others_stay(tmp_path, moments, kept):
    link = body("arm").replace('ixx="0.002" iyy="0.002" izz="0.002" ixy="0"', moments)
    found = imported(tmp_path, '<link name="stand"/>', joint("turn", "stand", "arm", axis="0 1 0"), link)
    assert any(note.startswith("inertia of link arm") for note in found.notes)
    matrix = Kinematics(found.robot.urdf_path).mass_matrix(("turn",), np.zeros((1, 1)))[0, 0, 0]
    assert matrix - 0.5 * 0.05**2 == pytest.approx(kept)
    assert compare_engines(found.robot).lines == ()


def test_a_mass_below_zero_is_called_one(tmp_path):
    found = imported(tmp_path, '<link name="stand"/>', joint("turn", "stand", "arm"), body("arm", m=-2))
    assert "link arm moves but has a mass of -2 kg, which is none: it gets 0.001 kg" in found.notes
    assert compare_engines(found.robot).lines == ()


def test_a_mimic_of_a_mimic_stays_where_the_first_one_puts_it(tmp_path):
    chain = [joint(name, parent, child) for name, parent, child in (("one", "arm", "l1"), ("two", "l1", "l2"))]
    mimics = ('<mimic joint="turn" multiplier="2" offset="0.25"/>', '<mimic joint="one" multiplier="-2"/>')
    chain = [part.replace("</joint>", mimic + "</joint>") for part, mimic in zip(chain, mimics, strict=True)]
    found = imported(tmp_path, *arm(), *chain, body("l1"), body("l2"))
    assert any(note.startswith("joint two mimics one: coupled joints are not simulated, it is fixed at -0.5") for note in found.notes)
    circle = [chain[0].replace('joint="turn"', 'joint="two"'), chain[1]]
    with pytest.raises(ValueError, match="joint 'two' mimics 'one', which mimics it in a circle: one, two"):
        import_urdf("other", written(tmp_path, *arm(), *circle, body("l1"), body("l2")), tmp_path)


def test_moments_without_a_mass_are_left_out(tmp_path):
    """Of a link that does not move by itself: MuJoCo refused it, and PyBullet took the moments."""
    weld = '<joint name="weld" type="fixed"><parent link="arm"/><child link="tip"/></joint>'
    found = imported(tmp_path, *arm(), weld, body("tip", m=0, i=-1e-9))
    assert "link tip has a mass of 0 kg: it counts as 0, and its inertia is left out" in found.notes
    report = compare_engines(found.robot)
    assert (report.lines, report.broken) == ((), ())
    for mass in ("inf", "1_0", "\u0661"):  # ten and one to Python, an error or another number to the engines
        with pytest.raises(ValueError, match=f"link 'arm': value of <mass> must be a finite number, got '{mass}'"):
            import_urdf("other", written(tmp_path, '<link name="stand"/>', joint("turn", "stand", "arm"), body("arm", m=mass)), tmp_path)


@pytest.mark.parametrize("speed", [0.015, 0.08, 3.0, 100.0])
def test_thresholds_of_the_monitors_fit_the_speeds(tmp_path, speed):
    robot = imported(tmp_path, *arm(limit=f'lower="-1" upper="1" effort="30" velocity="{speed}"')).robot
    assert robot.monitors.standstill <= speed / 5
    assert robot.monitors.tracking_lag * speed < robot.monitors.tracking_tolerance
    assert robot.joints[0].stop_acceleration * robot.monitors.tracking_lag**2 < robot.monitors.runaway_travel
