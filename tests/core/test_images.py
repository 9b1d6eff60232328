import numpy as np
import pytest

from isthmus.images import ImagePipeline, rectified_intrinsics
from isthmus.signals import CameraSpec

cv2 = pytest.importorskip("cv2")

INTRINSICS = (300.0, 310.0, 151.0, 122.0)
LENS = (-0.25, 0.08, 0.002, -0.003, 0.01)


def blobs(height=240, width=320):
    """Red top left, green top right, blue bottom left: no flip and no swap of channels leaves it as it is."""
    row, column = np.mgrid[0:height, 0:width]
    image = np.full((height, width, 3), 20, np.uint8)
    for channel, (y, x) in enumerate([(60, 80), (70, 230), (190, 100)]):
        image[np.hypot(row - y, column - x) < 15, channel] = 220
    return image


def centers(image):
    """Column and row of the middle of the red, green and blue blob, `[3, 2]`, px."""
    row, column = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    weights = np.clip(image.astype(float) - 60, 0, None)
    return np.array([[(weights[..., c] * axis).sum() / weights[..., c].sum() for axis in (column, row)] for c in range(3)])


def seen_through_lens(image):
    """What a camera with the lens sees where a pinhole camera sees `image`."""
    fx, fy, cx, cy = INTRINSICS
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    height, width = image.shape[:2]
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    pixels = np.stack([column.ravel(), row.ravel()], axis=1)[:, None]
    ideal = cv2.undistortPoints(pixels, matrix, np.array(LENS), P=matrix).reshape(height, width, 2).astype(np.float32)
    return cv2.remap(image, ideal[..., 0], ideal[..., 1], cv2.INTER_LINEAR)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_every_raw_encoding_gives_the_same_sample(encoding):
    rgb = blobs()
    raw = {"rgb8": rgb, "bgr8": rgb[..., ::-1], "rgba8": np.dstack([rgb, rgb[..., 0]]), "bgra8": np.dstack([rgb[..., ::-1], rgb[..., 0]])}
    sample = ImagePipeline(CameraSpec(84, 112), (240, 320), encoding)(raw[encoding])
    assert sample.shape == (84, 112, 3)
    assert sample.dtype == np.uint8
    # Pixel centres are at integers: 0 becomes (0 + ½) · 0.35 − ½.
    np.testing.assert_allclose(centers(sample), (centers(rgb) + 0.5) * 0.35 - 0.5, atol=0.1)


def test_mono_has_one_channel_and_the_weights_of_the_standard():
    sample = ImagePipeline(CameraSpec(240, 320, 1, "mono8"), (240, 320))(blobs())
    assert sample.shape == (240, 320, 1)
    np.testing.assert_allclose(sample[[60, 70, 190], [80, 230, 100], 0], np.array([[0.299, 0.587, 0.114]])[0] * 200 + 20, atol=1)
    grey = np.full((240, 320), 7, np.uint8)
    assert (ImagePipeline(CameraSpec(84, 84), (240, 320), "mono8")(grey) == 7).all()


def test_lens_is_corrected():
    ideal = blobs()
    raw = seen_through_lens(ideal)
    assert np.abs(centers(raw) - centers(ideal)).max() > 1.5  # the lens does something
    spec = CameraSpec(240, 320, intrinsics=INTRINSICS, distortion=LENS)
    np.testing.assert_allclose(centers(ImagePipeline(spec, (240, 320))(raw)), centers(ideal), atol=0.2)


@pytest.mark.parametrize("distortion", [(), LENS])
def test_rectified_intrinsics_say_where_a_point_is_seen(distortion):
    spec = CameraSpec(84, 84, intrinsics=INTRINSICS, distortion=distortion, crop=(60, 20, 200, 210))
    sample = ImagePipeline(spec, (240, 320))(seen_through_lens(blobs()) if distortion else blobs())
    rays = (centers(blobs()) - INTRINSICS[2:]) / INTRINSICS[:2]
    fx, fy, cx, cy = rectified_intrinsics(spec, field_of_view=1.0)
    np.testing.assert_allclose(centers(sample), rays * (fx, fy) + (cx, cy), atol=0.2)


def test_without_calibration_the_field_of_view_counts():
    fx, fy, cx, cy = rectified_intrinsics(CameraSpec(100, 200), field_of_view=np.pi / 2)
    np.testing.assert_allclose([fx, fy, cx, cy], [50, 50, 99.5, 49.5])


def test_sample_is_a_copy_even_where_nothing_is_to_be_done():
    raw = blobs()
    sample = ImagePipeline(CameraSpec(240, 320), (240, 320))(raw)
    np.testing.assert_array_equal(sample, raw)
    assert not np.shares_memory(sample, raw)


def test_refusals_name_the_bad_value():
    with pytest.raises(ValueError, match=r"unknown encoding 'bgr'; did you mean 'bgr8'\?"):
        ImagePipeline(CameraSpec(8, 8), (8, 8), "bgr")
    with pytest.raises(ValueError, match=r"crop \(4, 0, 8, 8\) \(left, top, width, height\) leaves the raw picture of 8 × 8 pixels"):
        ImagePipeline(CameraSpec(8, 8, crop=(4, 0, 8, 8)), (8, 8))
    with pytest.raises(ValueError, match="distortion cannot be corrected without intrinsics"):
        ImagePipeline(CameraSpec(8, 8, distortion=LENS), (8, 8))
    with pytest.raises(ValueError, match=r"a raw rgb8 picture must be \[8, 8, 3\] uint8, got \[8, 9, 3\] uint8"):
        ImagePipeline(CameraSpec(8, 8), (8, 8))(np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="a simulated camera with intrinsics needs a crop"):
        rectified_intrinsics(CameraSpec(8, 8, intrinsics=INTRINSICS), 1.0)
    with pytest.raises(ValueError, match="a simulated camera with a crop needs intrinsics"):
        rectified_intrinsics(CameraSpec(8, 8, crop=(0, 0, 8, 8)), 1.0)
