from dataclasses import replace

import mujoco
import numpy as np
import pybullet
import pytest

from isthmus.robot import Camera
from isthmus.signals import CameraSpec
from isthmus_sim.bullet_pictures import bullet_picture
from isthmus_sim.camera_rig import CameraRig, find_cameras
from isthmus_sim.cameras import camera_view, free_view, project
from isthmus_sim.rendering import BEAUTIFUL, FAST, Renderer, ground_below, look

# Red ahead, green to the left and further away, blue below: no two axes can be swapped or flipped unseen.
BALLS = np.array([[1.0, 0.0, 0.30], [1.4, 0.35, 0.35], [1.1, -0.15, 0.02]])
XML = """<mujoco><visual><headlight ambient="0.6 0.6 0.6"/></visual>
<asset><texture type="skybox" builtin="flat" rgb1="1 1 1" rgb2="1 1 1" width="8" height="48"/></asset><worldbody>
<geom type="sphere" size="0.05" pos="1 0 0.3" rgba="0.9 0 0 1"/>
<geom type="sphere" size="0.05" pos="1.4 0.35 0.35" rgba="0 0.8 0 1"/>
<geom type="sphere" size="0.05" pos="1.1 -0.15 0.02" rgba="0 0 0.9 1"/>
</worldbody></mujoco>"""
CAMERA = Camera("front", "base_link", (0.1, 0.05, 0.4), (1.1, 0.0, 0.2), 0.9, CameraSpec(120, 160))
CALIBRATED = replace(
    CAMERA, spec=CameraSpec(90, 120, intrinsics=(600.0, 520.0, 340.0, 210.0), crop=(100, 40, 480, 400), distortion=(-0.1, 0.02, 0, 0))
)
VIEWS = {
    "camera": camera_view(CAMERA, np.zeros(3), np.eye(3)),
    "calibrated": camera_view(CALIBRATED, np.zeros(3), np.eye(3)),
    "free": free_view((1.1, 0.1, 0.2), 1.3, 0.3, -0.4, height=120, width=160),
}


@pytest.fixture(scope="module")
def scene():
    model = mujoco.MjModel.from_xml_string(XML)
    data = mujoco.MjData(model)
    look(model, data)
    return model, data


@pytest.fixture(scope="module")
def bullet():
    client = pybullet.connect(pybullet.DIRECT)
    for center, color in zip(BALLS, [[0.9, 0, 0, 1], [0, 0.8, 0, 1], [0, 0, 0.9, 1]], strict=True):
        shape = pybullet.createVisualShape(pybullet.GEOM_SPHERE, radius=0.05, rgbaColor=color, physicsClientId=client)
        pybullet.createMultiBody(0, -1, shape, center.tolist(), physicsClientId=client)
    yield client
    pybullet.disconnect(physicsClientId=client)


def taken(scene, view, profile=FAST):
    renderer = Renderer(scene[0], view.height, view.width, profile)
    try:
        return renderer.picture(*scene, view)
    finally:
        renderer.close()


def ball_pixels(picture):
    """Column and row of the red, green and blue ball, `[3, 2]`, px; the background is white."""
    row, column = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    pixels, found = picture.astype(int), []
    for channel in range(3):
        others = np.delete(pixels, channel, axis=2).max(axis=2)
        mask = pixels[..., channel] > others + 40
        assert mask.sum() > 20
        found.append([column[mask].mean(), row[mask].mean()])
    return np.array(found)


@pytest.mark.parametrize("name", VIEWS)
def test_both_engines_see_the_balls_where_geometry_says(scene, bullet, name):
    view = VIEWS[name]
    expected = project(view, BALLS)
    mujoco_sees, bullet_sees = ball_pixels(taken(scene, view)), ball_pixels(bullet_picture(bullet, view))
    # The middle of a ball's outline is not quite the projection of its centre, hence one pixel.
    np.testing.assert_allclose(mujoco_sees, expected, atol=1.0)
    np.testing.assert_allclose(bullet_sees, mujoco_sees, atol=2.0)


def test_camera_axes_are_those_of_an_optical_frame():
    ahead = camera_view(replace(CAMERA, look_at=(1.1, 0.05, 0.4)), np.zeros(3), np.eye(3))
    np.testing.assert_allclose(ahead.rotation, np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]).T, atol=1e-12)
    along_z = camera_view(replace(CAMERA, look_at=(0.1, 0.05, 0.9)), np.zeros(3), np.eye(3))
    np.testing.assert_allclose(along_z.rotation, np.eye(3), atol=1e-12)


def test_camera_moves_with_its_link():
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    shift = np.array([0.3, 0.2, 0.1])
    moved = camera_view(CAMERA, shift, turned)
    np.testing.assert_allclose(project(moved, BALLS @ turned.T + shift), project(VIEWS["camera"], BALLS), atol=1e-9)


def test_depth_is_the_distance_along_the_optical_axis(scene):
    view = VIEWS["camera"]
    renderer = Renderer(scene[0], view.height, view.width)
    depth = renderer.depth(*scene, view)
    renderer.close()
    column, row = np.round(project(view, BALLS[:1])[0]).astype(int)
    expected = (BALLS[0] - view.position) @ view.rotation[:, 2]
    assert depth[row, column] == pytest.approx(expected - 0.05, abs=0.01)  # the near side of the ball
    assert depth[0, 0] > 10  # nothing there


def test_beautiful_picture_has_a_ground_and_a_shadow(scene):
    view = VIEWS["free"]
    renderer = Renderer(scene[0], view.height, view.width, BEAUTIFUL, ground_below(*scene))
    picture = renderer.picture(*scene, view, markers=((1.0, 0.0, 0.6),))
    renderer.close()
    ground = picture[-10:].reshape(-1, 3).astype(int)
    assert (ground.max(axis=1) - ground.min(axis=1)).max() < 30  # grey
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 300  # light and shadow, not flat colours
    assert (picture.astype(int).sum(axis=2) < 0.75 * np.median(ground.sum(axis=1))).sum() > 50


def test_ground_lies_below_what_hangs_and_under_what_stands(scene):
    assert ground_below(*scene) == pytest.approx(-0.03, abs=1e-6)  # the blue ball sinks 3 cm below the origin
    rod_xml = "<joint type='hinge' axis='0 1 0'/><geom type='capsule' size='.1' fromto='0 0 0 0 0 1'/>"
    swing = f"<mujoco><worldbody><body>{rod_xml}</body></worldbody></mujoco>"
    rod = mujoco.MjModel.from_xml_string(swing)
    assert ground_below(rod, mujoco.MjData(rod)) == pytest.approx(-1.1, abs=1e-6)  # upright now, but it will swing
    plane = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom type='plane' size='1 1 1'/></worldbody></mujoco>")
    data = mujoco.MjData(plane)
    look(plane, data)
    assert ground_below(plane, data) is None


def test_latency_shows_an_older_picture_and_reading_twice_takes_none():
    camera = replace(CAMERA, spec=CameraSpec(4, 4, latency=0.1))
    shots = []

    def take(row, camera, appearance):
        shots.append(row)
        return np.full((4, 4, 3), len(shots), np.uint8)

    rig = CameraRig([camera], 1, 0.05, take)
    seen = [rig.read(np.array([step]))["front"][0, 0, 0, 0] for step in (0, 1, 2, 3, 3)]
    assert seen == [1, 1, 1, 2, 2]
    assert len(shots) == 4
    rig.reset(np.array([0]), [1])
    assert rig.read(np.array([0]))["front"].max() == 5  # nothing is left of the episode before


def test_refusals_name_the_bad_value(scene):
    from isthmus import load_robot

    renderer = Renderer(scene[0], 8, 8)
    with pytest.raises(ValueError, match="this renderer draws 8 × 8 pixels, the view has 120 × 160"):
        renderer.picture(*scene, VIEWS["free"])
    renderer.close()
    with pytest.raises(RuntimeError, match="the renderer is closed"):
        renderer.picture(*scene, VIEWS["free"])
    with pytest.raises(ValueError, match="camera 'front': look_at must be another point than position"):
        camera_view(replace(CAMERA, look_at=CAMERA.position), np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="camera 'front': a simulated camera with a crop needs intrinsics"):
        camera_view(replace(CAMERA, spec=CameraSpec(8, 8, crop=(0, 0, 8, 8))), np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="robot 'pendulum' has no camera 'wrist'; Known: none"):
        find_cameras(load_robot("pendulum"), ["wrist"])


def test_a_plant_shows_its_camera_s_image_in_both_engines():
    from isthmus import load_robot
    from isthmus_sim.appearance import AppearanceRanges
    from isthmus_sim.plants.mujoco import MujocoPlant
    from isthmus_sim.plants.pybullet import PybulletPlant
    from isthmus_sim.scene import Body, Scene, Shape

    wrist = Camera("wrist", "tool0", (0.0, 0.06, 0.0), (0.0, 0.06, 0.3), 1.0, CameraSpec(60, 80))
    robot = replace(load_robot("ur5e"), cameras=(wrist,))
    plain = {"mode": "velocity", "period": 0.05, "cameras": ("wrist",)}
    tool = MujocoPlant(robot, **plain).truth().poses["tool0"][0]
    down, beside = tool[:3] + np.array([0, 0, -0.3]), tool[:3] + np.array([0.06, 0.03, -0.3])
    balls = tuple(
        Body(name, (Shape("sphere", (0.03,), color=color),), position=tuple(place))
        for name, place, color in (("red", down, (0.9, 0, 0, 1)), ("green", beside, (0, 0.8, 0, 1)))
    )
    seen = []
    for engine in (MujocoPlant, PybulletPlant):
        plant = engine(robot, scene=Scene(balls), **plain)
        image = plant.read().images["wrist"]
        assert image.shape == (1, 60, 80, 3)
        row, column = np.mgrid[0:60, 0:80]
        pixels = image[0].astype(int)
        masks = [pixels[..., c] > np.delete(pixels, c, axis=2).max(axis=2) + 40 for c in (0, 1)]
        seen.append([(column[mask].mean(), row[mask].mean()) for mask in masks])
        plant.close()
    np.testing.assert_allclose(seen[0], seen[1], atol=2.0)
    random = MujocoPlant(robot, scene=Scene(balls), batch=2, appearance=AppearanceRanges(), **plain)
    random.reset(seeds=[5, 6])
    first = random.read().images["wrist"]
    assert (first[0] != first[1]).mean() > 0.5
    random.reset(seeds=[5, 6])
    np.testing.assert_array_equal(random.read().images["wrist"], first)
    random.close()
