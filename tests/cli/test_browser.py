"""A page with a MuJoCo model: its bodies are where MuJoCo has them. Needs viser: `make test-browser`."""

import urllib.request

import numpy as np
import pytest

pytest.importorskip("viser")
import mujoco

from isthmus.robot import load_robot
from isthmus_cli.view.browser import Page, triangles
from isthmus_cli.view.robot import stood

SHAPES = """<mujoco><asset><hfield name="hills" nrow="3" ncol="4" size="2 1 0.5 0.1" elevation="0 0 0 0  0 0 0 0  0 0 0 1"/>
<mesh name="wedge" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/></asset><worldbody>
<geom name="floor" type="plane" size="1 1 1"/><geom name="hills" type="hfield" hfield="hills"/>
<body name="arm" pos="0 0 1"><joint name="hinge" axis="0 1 0"/><joint name="slide" type="slide" axis="1 0 0"/>
<geom name="box" type="box" size="0.1 0.2 0.3" rgba="1 0 0 1"/><geom name="ball" type="sphere" size="0.1"/>
<geom name="egg" type="ellipsoid" size="0.1 0.2 0.3"/><geom name="tin" type="cylinder" size="0.1 0.3"/>
<geom name="pill" type="capsule" size="0.1 0.3"/><geom name="wedge" type="mesh" mesh="wedge"/>
<geom name="hidden" type="sphere" size="1" group="3"/></body></worldbody></mujoco>"""


@pytest.fixture
def shapes():
    model = mujoco.MjModel.from_xml_string(SHAPES)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


@pytest.mark.parametrize(
    ("name", "half"),
    [
        ("box", (0.1, 0.2, 0.3)),
        ("ball", (0.1, 0.1, 0.1)),
        ("egg", (0.1, 0.2, 0.3)),
        ("tin", (0.1, 0.1, 0.3)),
        ("pill", (0.1, 0.1, 0.4)),
        ("hills", (2.0, 1.0, 0.25)),
    ],
)
def test_a_shape_has_its_size(shapes, name, half):
    model, _ = shapes
    vertices, faces = triangles(model, model.geom(name).id)
    assert np.ptp(vertices, axis=0) / 2 == pytest.approx(half, rel=0.02)
    assert name == "hills" or vertices.min(axis=0) == pytest.approx(-vertices.max(axis=0), abs=1e-6)
    assert faces.max() == len(vertices) - 1


def test_the_page_is_served_with_all_that_is_drawn_and_nothing_else(shapes, capsys):
    with Page(*shapes) as page:
        said = capsys.readouterr().out
        assert said.startswith(f"page: http://localhost:{page.server.get_port()}, until Ctrl-C")
        assert b"<html" in urllib.request.urlopen(f"http://localhost:{page.server.get_port()}", timeout=30).read()
        names = set(page.server.scene._handle_from_node_name)
    drawn = {f"/arm/{name}" for name in ("box", "ball", "egg", "tin", "pill", "wedge")}
    assert drawn | {"/arm", "/world/floor", "/world/hills"} <= names
    assert "/arm/hidden" not in names


@pytest.mark.parametrize("name", ["ur5e", "fr3", "quadruped"])
def test_bodies_are_where_mujoco_has_them(name):
    model, data = stood(load_robot(name))
    mujoco.mj_kinematics(model, data)
    draws = np.random.default_rng(0)
    with Page(model, data) as page:
        for _ in range(3):
            data.qpos[-6:] = draws.uniform(-1, 1, 6)
            mujoco.mj_kinematics(model, data)
            page.sync()
            assert len(page.frames) > 5
            for body, frame in page.frames.items():
                assert np.abs(frame.position - data.xpos[body]).max() < 1e-6
                assert np.abs(frame.wxyz - data.xquat[body]).max() < 1e-6
                assert frame.name == f"/{model.body(body).name}"


def test_the_joints_are_read_in_radians_and_metres(shapes):
    model, data = shapes
    with Page(model, data) as page:
        data.qpos[:] = 0.25, -1.5
        page.sync()
        assert page._joints.content.splitlines()[2:] == ["| hinge | 0.250 |", "| slide | -1.500 |"]
