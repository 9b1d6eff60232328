"""Meshes of a profile that a person wrote: an engine loads them, or a sentence says which one and why; no process ends without a word."""

import struct

import pytest
from urdf_parts import arm, imported

from isthmus.robot import load_robot
from isthmus_sim.plants import make_plant
from isthmus_sim.plants.loadable_urdf import loadable_urdf

CORNERS = (0, 0, 0), (0.2, 0, 0), (0, 0.2, 0), (0, 0, 0.2)
FACES = (0, 1, 2), (0, 3, 1), (0, 2, 3), (1, 3, 2)
SHAPE = '<{kind}><geometry><mesh filename="{address}"/></geometry></{kind}>'
EMPTY_COLLADA = '<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1"/>'
FILES = {
    "missing.stl": None,
    "package://lab/missing.stl": None,
    "file:///nowhere/missing.stl": None,
    "http://nowhere/missing.stl": None,
    "": None,
    "empty.stl": "",
    "empty.dae": EMPTY_COLLADA,  # ends a process in which PyBullet reads it
    "lost.obj": "f 1 2 3\n",  # likewise
    "scene.gltf": "{}",
}


def binary(size=1.0):
    triangles = (struct.pack("<12fH", 0, 0, 0, *(size * x for corner in face for x in CORNERS[corner]), 0) for face in FACES)
    return bytes(80) + struct.pack("<I", len(FACES)) + b"".join(triangles)


@pytest.fixture
def written(tmp_path):
    """Makes a robot of a URDF with shapes as a person writes it, beside files of these names."""
    imported(tmp_path, *arm())

    def write(more, files):
        for name, content in files.items():
            (file := tmp_path / "robots" / "mine" / name).parent.mkdir(exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        (tmp_path / "robots" / "mine" / "mine.urdf").write_text(f'<robot name="mine">{"".join(arm(more=more))}</robot>')
        return load_robot("mine", [tmp_path / "robots"])

    return write


@pytest.mark.parametrize("address", FILES)
def test_a_mesh_for_the_eye_that_no_engine_loads_is_left_out(written, address):
    files = {address: FILES[address]} if FILES[address] is not None else {}
    robot = written(
        SHAPE.format(kind="visual", address=address) + SHAPE.format(kind="visual", address="good.stl"), {**files, "good.stl": binary()}
    )
    assert [mesh.get("filename") for mesh in loadable_urdf(robot).iter("mesh")] == [str(robot.urdf_path.parent / "good.stl")]


@pytest.mark.parametrize("address", FILES)
def test_one_for_contacts_is_refused_by_name_before_an_engine_reads_it(written, address):
    robot = written(SHAPE.format(kind="collision", address=address), {address: FILES[address]} if FILES[address] is not None else {})
    with pytest.raises(ValueError, match=r"link 'arm': mesh .* for contacts: .*isthmus robots import") as refusal:
        loadable_urdf(robot)
    assert repr(address) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("engine", ["mujoco", "pybullet"])
def test_both_engines_take_the_same_ones(written, engine):
    eye, contact = SHAPE.format(kind="visual", address="missing.dae"), SHAPE.format(kind="collision", address="package://mine/good.stl")
    make_plant(engine, written(eye + contact, {"good.stl": binary()}), mode="position", period=0.02).close()
    with pytest.raises(ValueError, match=r"'missing.stl' for contacts: not found"):
        make_plant(engine, written(SHAPE.format(kind="collision", address="missing.stl"), {}), mode="position", period=0.02)


def test_two_files_with_one_name_are_not_taken_for_one_mesh(written):
    more = SHAPE.format(kind="visual", address="seen/part.stl") + SHAPE.format(kind="collision", address="felt/part.stl")
    robot = written(more, {"seen/part.stl": binary(3.0), "felt/part.stl": binary()})
    with pytest.raises(ValueError, match=r"seen/part.stl and .*felt/part.stl have one name"):
        loadable_urdf(robot)


def test_what_mujoco_does_not_take_is_told_in_one_sentence_with_the_robot(written, tmp_path):
    robot = written("", {})
    robot.urdf_path.write_text(robot.urdf_path.read_text().replace('mass value="0.5"', 'mass value="0"'))
    with pytest.raises(ValueError, match=r"MuJoCo cannot load robot 'mine': ") as refusal:
        make_plant("mujoco", robot, mode="position", period=0.02)
    assert "\n" not in str(refusal.value)
