"""Acceptance of the appearance randomiser: Sadeghi and Levine, CAD2RL, RSS 2017, ask that looks vary and geometry does not."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mujoco.batch import Batch

from isthmus import strict
from isthmus.robot import Camera
from isthmus.signals import CameraSpec
from isthmus_sim.appearance import MOST_LIGHTS, AppearanceRanges, add_pool, check_expressible
from isthmus_sim.batch_pictures import BatchPictures
from isthmus_sim.camera_rig import CameraRig
from isthmus_sim.cameras import camera_view
from isthmus_sim.rendering import Renderer
from isthmus_sim.textures import HELD_OUT, LAMPS, POOL, lamp, pool_indices, texture

XML = """<mujoco><compiler discardvisual="false"/>
<asset><texture type="skybox" builtin="flat" rgb1="1 1 1" rgb2="1 1 1" width="8" height="48"/></asset><worldbody><light pos="0 0 3"/>
<geom type="plane" size="3 3 .1"/>
<body name="box" pos="0.1 0.1 0.1"><freejoint/><geom type="box" size="0.1 0.05 0.1" rgba="0.8 0.3 0.2 1"/></body>
<body name="can" pos="-0.2 0.2 0.1"><geom type="cylinder" size="0.05 0.1" rgba="0.2 0.3 0.8 1"/></body>
</worldbody></mujoco>"""
CAMERA = Camera("front", "world", (0.7, -0.7, 0.5), (0.0, 0.1, 0.05), 0.7, CameraSpec(40, 40))
FIXED = {"camera_position": 0.0, "camera_rotation": 0.0, "field_of_view": 0.0}
BODIES = 3


@pytest.fixture(scope="module")
def model():
    spec = mujoco.MjSpec.from_string(XML)
    add_pool(spec)
    return spec.compile()


@pytest.fixture(scope="module")
def pictures(model):
    batch = BatchPictures(model, Batch(model, nsim=2, nthread=1))
    yield batch
    batch.close()


def draw(seed, **ranges):
    return AppearanceRanges(**ranges).draw(np.random.default_rng(seed), BODIES)


def shot(pictures, appearance):
    return appearance.develop(pictures.camera(0, CAMERA, appearance), 0)


def mean_distance(images):
    stack = np.array(images, dtype=np.float64)
    return np.mean([np.abs(stack[i] - stack[j]).mean() for i in range(len(stack)) for j in range(i)])


def test_200_draws_of_one_seed_are_reproducible_and_another_seed_differs():
    def numbers(seed):
        generator = np.random.default_rng(seed)
        drawn = [AppearanceRanges().draw(generator, BODIES) for _ in range(200)]
        return [(tuple(a.lamps), tuple(a.textures), a.colors.tobytes(), a.sky.tobytes(), a.shift.tobytes(), a.zoom, a.seed) for a in drawn]

    assert numbers(1) == numbers(1)
    assert not set(numbers(1)) & set(numbers(2))


def test_a_draw_is_one_picture_and_another_draw_is_another(pictures):
    first, again, other = shot(pictures, draw(1)), shot(pictures, draw(1)), shot(pictures, draw(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 10


def test_geometry_is_untouched(model, pictures):
    renderer = Renderer(model, 40, 40)
    view = camera_view(CAMERA, np.zeros(3), np.eye(3))
    expected = renderer.depth(*pictures.look(0), view)
    assert np.ptp(expected) > 0.3
    for seed in range(20):
        appearance = draw(seed, **FIXED)
        painted, data = pictures.look(0)
        appearance.paint(painted)
        np.testing.assert_array_equal(renderer.depth(painted, data, view), expected)
        for name in ("geom_pos", "geom_size", "geom_contype", "geom_friction", "body_mass", "body_pos"):
            np.testing.assert_array_equal(getattr(painted, name), getattr(model, name))
    renderer.close()


def test_the_next_row_does_not_inherit_an_appearance(model, pictures):
    plain = pictures.camera(0, CAMERA)
    shot(pictures, draw(1))
    np.testing.assert_array_equal(pictures.camera(1, CAMERA), plain)
    np.testing.assert_array_equal(pictures.look(0)[0].geom_matid, model.geom_matid)


def test_pictures_differ_5_times_as_much_as_under_one_light_that_varies_by_a_quarter(model, pictures):
    toy = []
    generator = np.random.default_rng(0)
    renderer = Renderer(model, 40, 40)
    for _ in range(20):
        painted, data = pictures.look(0)
        painted.light_diffuse[0] *= generator.uniform(0.75, 1.25)
        toy.append(renderer.picture(painted, data, camera_view(CAMERA, np.zeros(3), np.eye(3))))
    renderer.close()
    rich = [shot(pictures, draw(seed)) for seed in range(20)]
    assert mean_distance(rich) >= 5 * mean_distance(toy)


@pytest.mark.parametrize("held_out", [False, True])
def test_pools_are_used_up_and_their_parts_are_apart(held_out):
    generator = np.random.default_rng(0)
    draws = [AppearanceRanges(held_out=held_out).draw(generator, BODIES) for _ in range(10 * POOL)]
    for pool, used in ((POOL, {int(i) for a in draws for i in a.textures}), (LAMPS, {int(i) for a in draws for i in a.lamps})):
        part = set(pool_indices(pool, held_out))
        assert used <= part
        assert len(used) >= 0.95 * len(part)
    assert not set(pool_indices(POOL, True)) & set(pool_indices(POOL, False))
    assert len(pool_indices(POOL, True)) == HELD_OUT


def test_every_texture_and_every_lamp_is_different():
    assert POOL >= 60
    assert len({texture(index).tobytes() for index in range(POOL)}) == POOL
    assert len({lamp(index)[0].tobytes() for index in range(LAMPS)}) == LAMPS
    assert all(lamp(index)[0][2] < 0 for index in range(LAMPS))  # all shine from above


@given(seed=st.integers(0, 2**32), lights=st.integers(1, MOST_LIGHTS), low=st.floats(0, 1), span=st.floats(0, 1))
def test_draws_stay_in_their_ranges(seed, lights, low, span):
    appearance = draw(seed, lights=(1, lights), intensity=(low, low + span), camera_position=low, exposure=(low, low + span))
    assert 1 <= len(appearance.lamps) <= lights
    assert (np.abs(appearance.shift) <= low).all()
    assert low <= appearance.exposure <= low + span + 1e-12
    assert ((appearance.intensity >= low) & (appearance.intensity <= low + span + 1e-12)).all()


def test_one_draw_lasts_an_episode_and_only_noise_changes_within_it(pictures):
    ranges = AppearanceRanges(noise=(0.0, 0.0))
    rig = CameraRig([CAMERA], 1, 0.05, pictures.camera, ranges, BODIES)
    rig.reset(np.array([0]), [3])
    first, second = rig.read(np.array([0]))["front"], rig.read(np.array([1]))["front"]
    np.testing.assert_array_equal(first, second)
    rig.reset(np.array([0]), [4])
    assert (rig.read(np.array([0]))["front"] != first).mean() > 0.5
    rig.reset(np.array([0]), [3])
    np.testing.assert_array_equal(rig.read(np.array([0]))["front"], first)


def test_noise_and_exposure_are_as_strong_as_asked():
    grey = np.full((64, 64, 3), 100, np.uint8)
    appearance = draw(0, noise=(5.0, 5.0), blur=(0.0, 0.0), exposure=(1.2, 1.2))
    developed = appearance.develop(grey, 0).astype(float)
    assert developed.mean() == pytest.approx(120, abs=0.5)
    assert developed.std() == pytest.approx(5, rel=0.05)
    assert (appearance.develop(grey, 1) != developed).any()


def test_blur_keeps_the_brightness_and_spreads_a_point():
    point = np.zeros((21, 21, 3), np.uint8)
    point[10, 10] = 250
    blurred = draw(0, noise=(0, 0), blur=(1.0, 1.0), exposure=(1, 1)).develop(point, 0)[..., 0].astype(float)
    assert blurred.sum() == pytest.approx(250, rel=0.1)
    row = np.mgrid[0:21, 0:21][0] - 10
    assert (blurred * row**2).sum() / blurred.sum() == pytest.approx(1, rel=0.2)


def test_ranges_are_read_from_plain_data():
    ranges = strict.decode(AppearanceRanges, {"lights": [1, 2], "held_out": True}, "appearance")
    assert ranges == AppearanceRanges(lights=(1, 2), held_out=True)


def test_what_pybullet_cannot_express_is_an_error():
    check_expressible("mujoco", AppearanceRanges())
    check_expressible("pybullet", AppearanceRanges(lights=None, textures=False, colors=False, sky=False))
    with pytest.raises(ValueError, match="plant 'pybullet' cannot express appearance 'lights'; it can: camera_position, camera_rotation"):
        check_expressible("pybullet", AppearanceRanges())
    with pytest.raises(ValueError, match="plant 'pybullet' cannot express appearance 'sky'"):
        check_expressible("pybullet", AppearanceRanges(lights=None, textures=False, colors=False))


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"lights": (0, 2)}, r"lights must be two increasing numbers in 1 … 4, got \(0, 2\)"),
        ({"exposure": (1.0, 0.5)}, r"exposure must be two increasing numbers >= 0, got 1.0 and 0.5"),
        ({"shadows": 2.0}, r"shadows is a probability, got 2.0"),
        ({"camera_rotation": 3.0}, r"camera_rotation must be in 0 … 0.5, got 3.0"),
    ],
)
def test_refusals_name_the_bad_value(ranges, message):
    with pytest.raises(ValueError, match=message):
        AppearanceRanges(**ranges)
