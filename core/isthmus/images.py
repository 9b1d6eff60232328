"""From the picture of a calibrated camera to the image signal of a contract: undistort, crop, resize, colour.

The robot's camera node runs `ImagePipeline` over raw pictures. A simulator has no lens: it renders `rectified_intrinsics` directly, which is what the
pipeline would have made of its picture, and only converts the colour. Both sides read the same `CameraSpec`, so they cannot drift apart.
Pixel centres are at integers, as in OpenCV and sensor_msgs/CameraInfo.
"""

from __future__ import annotations

import math

import numpy as np

from isthmus import strict
from isthmus.records import Array
from isthmus.signals import CameraSpec

__all__ = ["ENCODINGS", "ImagePipeline", "compressed_size", "convert_color", "decoded", "raw_intrinsics", "rectified_intrinsics"]

ENCODINGS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
"""Encodings of raw pictures (sensor_msgs/image_encodings), with their channels."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImagePipeline:
    """Turns raw pictures of one camera into samples of its image signal; needs OpenCV (`isthmus[vision]`).

    Attributes:
        spec: calibration and what the policy expects.
        size: rows and columns of the raw pictures.
    """

    def __init__(self, spec: CameraSpec, size: tuple[int, int], encoding: str = "rgb8") -> None:
        """Compute the undistortion maps, once.

        Args:
            spec: calibration and what the policy expects.
            size: rows and columns of the raw pictures.
            encoding: of the raw pictures, a key of `ENCODINGS`.

        Raises:
            ValueError: unknown encoding, the crop leaves the picture, or distortion without intrinsics.
            ModuleNotFoundError: OpenCV is not installed.
        """
        import cv2

        if encoding not in ENCODINGS:
            raise ValueError(f"unknown encoding {encoding!r}; {strict.suggest(encoding, ENCODINGS)}")
        left, top, width, height = _crop(spec, size)
        self.spec, self.size = spec, size
        self._encoding = encoding
        self._window = (slice(top, top + height), slice(left, left + width))
        self._maps: tuple[Array, Array] | None = None
        if spec.distortion:
            if spec.intrinsics is None:
                raise ValueError("distortion cannot be corrected without intrinsics")
            fx, fy, cx, cy = spec.intrinsics
            # The map of the cropped picture alone: the same camera with its principal point moved.
            lens, seen = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), np.array([[fx, 0, cx - left], [0, fy, cy - top], [0, 0, 1.0]])
            self._maps = cv2.initUndistortRectifyMap(lens, np.array(spec.distortion), None, seen, (width, height), cv2.CV_16SC2)

    def __call__(self, image: Array) -> Array:
        """One sample.

        Args:
            image: raw picture `[H, W, C]` uint8, or `[H, W]` for mono8; it is not changed.

        Returns:
            `[h, w, c]` uint8 of the signal.

        Raises:
            ValueError: another size, number of channels or dtype than the pipeline was made for.
        """
        import cv2

        expected = (*self.size, ENCODINGS[self._encoding])
        picture = image[:, :, None] if image.ndim == 2 else image
        if picture.shape != expected or picture.dtype != np.uint8:
            raise ValueError(f"a raw {self._encoding} picture must be {list(expected)} uint8, got {list(image.shape)} {image.dtype}")
        picture = (
            picture[self._window].copy() if self._maps is None else cv2.remap(np.ascontiguousarray(picture), *self._maps, cv2.INTER_LINEAR)
        )
        height, width = picture.shape[:2]
        if (height, width) != (self.spec.height, self.spec.width):
            shrinks = height >= self.spec.height and width >= self.spec.width
            picture = cv2.resize(
                picture, (self.spec.width, self.spec.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            )
        return convert_color(picture.reshape(self.spec.height, self.spec.width, -1), self._encoding, self.spec.encoding)


def convert_color(image: Array, encoding: str, wanted: str) -> Array:
    """The picture `[H, W, C]` uint8 in another encoding: "rgb8" `[H, W, 3]` or "mono8" `[H, W, 1]` (ITU-R BT.601 weights).

    Args:
        image: picture in `encoding`.
        encoding: a key of `ENCODINGS`.
        wanted: "rgb8" or "mono8".
    """
    if encoding == wanted:
        return image
    import cv2

    source = {"rgb8": "RGB", "bgr8": "BGR", "rgba8": "RGBA", "bgra8": "BGRA", "mono8": "GRAY"}[encoding]
    converted = cv2.cvtColor(image, getattr(cv2, f"COLOR_{source}2{'RGB' if wanted == 'rgb8' else 'GRAY'}"))
    return np.asarray(converted).reshape(*image.shape[:2], ENCODINGS[wanted])


def compressed_size(data: bytes) -> tuple[int, int]:
    """Rows and columns that the header of a PNG (ISO/IEC 15948) or JPEG (ITU-T T.81) tells, so that nothing larger need be decoded.

    Raises:
        ValueError: it is neither.
    """
    if data[:8] == _PNG and data[12:16] == b"IHDR" and len(data) >= 24:
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    place = 2 if data[:2] == b"\xff\xd8" else len(data)
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in _JPEG_FRAMES:
            return int.from_bytes(data[place + 5 : place + 7], "big"), int.from_bytes(data[place + 7 : place + 9], "big")
        place += 1 if marker == 0xFF else 2 + length  # a marker may have fill bytes before it
    raise ValueError(f"{len(data)} bytes are no picture: neither PNG nor JPEG")


def decoded(data: bytes) -> tuple[Array, str]:
    """A compressed picture (JPEG, PNG): its pixels `[H, W, C]` uint8, and their encoding, bgr8, bgra8 or mono8.

    Raises:
        ValueError: it is none that OpenCV can read, or has more than 8 bits per channel.
    """
    import cv2

    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if len(data) else None
    except cv2.error as error:
        raise ValueError(f"OpenCV cannot read it: {' '.join(str(error).split())}") from None
    if pixels is None:
        raise ValueError(f"{len(data)} bytes are no picture that OpenCV can read")
    if pixels.dtype != np.uint8:
        raise ValueError(f"a compressed picture must have 8 bits per channel, got {8 * pixels.dtype.itemsize}")
    picture = pixels.reshape(*pixels.shape[:2], -1)
    return picture, {1: "mono8", 3: "bgr8", 4: "bgra8"}[picture.shape[2]]


def raw_intrinsics(spec: CameraSpec, field_of_view: float, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy of raw pictures: those of the calibration, else of a pinhole camera with this field of view.

    Args:
        spec: calibration and what the policy expects.
        field_of_view: vertical, rad; used where there are no intrinsics.
        size: rows and columns of the raw pictures.

    Raises:
        ValueError: a crop without intrinsics.
    """
    if spec.intrinsics is not None:
        return spec.intrinsics
    fx, fy, cx, cy = rectified_intrinsics(spec, field_of_view)
    across, down = size[1] / spec.width, size[0] / spec.height
    return fx * across, fy * down, (cx + 0.5) * across - 0.5, (cy + 0.5) * down - 0.5


def rectified_intrinsics(spec: CameraSpec, field_of_view: float) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy of the signal's own pixels: a pinhole camera that sees what leaves the pipeline.

    Args:
        spec: calibration and what the policy expects.
        field_of_view: vertical, rad; used where there are no intrinsics.

    Raises:
        ValueError: intrinsics without a crop (the size of the full image is not known), or a crop without intrinsics.
    """
    if spec.intrinsics is None:
        if spec.crop is not None:
            raise ValueError("a simulated camera with a crop needs intrinsics")
        focal = 0.5 * spec.height / math.tan(0.5 * field_of_view)
        return focal, focal, 0.5 * (spec.width - 1), 0.5 * (spec.height - 1)
    if spec.crop is None:
        raise ValueError("a simulated camera with intrinsics needs a crop; the crop 0, 0, width, height is the full image")
    fx, fy, cx, cy = spec.intrinsics
    left, top, width, height = spec.crop
    across, down = spec.width / width, spec.height / height
    return fx * across, fy * down, (cx - left + 0.5) * across - 0.5, (cy - top + 0.5) * down - 0.5


def _crop(spec: CameraSpec, size: tuple[int, int]) -> tuple[int, int, int, int]:
    rows, columns = size
    left, top, width, height = spec.crop or (0, 0, columns, rows)
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > columns or top + height > rows:
        raise ValueError(f"crop {spec.crop} (left, top, width, height) leaves the raw picture of {columns} × {rows} pixels")
    return left, top, width, height
