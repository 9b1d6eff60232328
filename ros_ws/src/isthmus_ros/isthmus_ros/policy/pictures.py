"""One message of a camera: its pixels, or how it differs from what the camera is said to send."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from isthmus.images import ENCODINGS, compressed_size, decoded
from isthmus.records import Array

__all__ = ["PictureForm"]

_STORED = re.compile(r"compressed (\w+)")


@dataclass(frozen=True, slots=True)
class PictureForm:
    """What a camera's pictures must be.

    Attributes:
        topic: absolute.
        size: rows and columns.
        encoding: of the camera's own pictures, a key of `ENCODINGS`.
        compressed: they come as sensor_msgs/CompressedImage, JPEG or PNG; else as sensor_msgs/Image.
    """

    topic: str
    size: tuple[int, int]
    encoding: str
    compressed: bool

    @property
    def kind(self) -> Any:
        """Class of the messages."""
        return CompressedImage if self.compressed else Image

    @property
    def pixels(self) -> str:
        """Encoding of what `read` returns: JPEG and PNG have a colour order of their own, which OpenCV reads as bgr8."""
        if not self.compressed:
            return self.encoding
        return "mono8" if self.encoding == "mono8" else "bgr8"

    def read(self, message: Any) -> tuple[Array | None, str]:
        """Pixels `[H, W, C]` uint8 of a message and "", or None and what is wrong with it."""
        return self._unpacked(message) if self.compressed else self._plain(message)

    def _plain(self, message: Any) -> tuple[Array | None, str]:
        rows, columns = self.size
        if (message.height, message.width, message.encoding) != (rows, columns, self.encoding):
            return None, self._differs(message.height, message.width, message.encoding)
        channels = ENCODINGS[self.encoding]
        if message.step < columns * channels or len(message.data) != message.step * rows:
            return None, (
                f"a picture on {self.topic} has {len(message.data)} bytes in rows of {message.step}, which {rows} × {columns} pixels are not"
            )
        values = np.frombuffer(message.data, dtype=np.uint8).reshape(rows, message.step)  # rows may be padded
        return values[:, : columns * channels].reshape(rows, columns, channels), ""

    def _unpacked(self, message: Any) -> tuple[Array | None, str]:
        """`format` is "jpeg", or as image_transport has it "rgb8; jpeg compressed bgr8": the camera's encoding, and the order of what was stored."""
        stored = _STORED.search(message.format)
        if stored and stored[1] not in (self.pixels, f"{self.pixels[:-1]}a8"):
            return None, f"pictures on {self.topic} are stored as {stored[1]} ({message.format}), they must be stored as {self.pixels}"
        told = message.format.partition(";")[0].strip() if stored else self.encoding
        data = bytes(message.data)
        try:
            if (size := compressed_size(data)) != self.size:
                return None, self._differs(*size, told)
            picture, encoding = decoded(data)
        except ValueError as error:
            return None, f"a picture on {self.topic} cannot be read: {error}"
        if (encoding, self.pixels) == ("bgra8", "bgr8"):
            picture, encoding = picture[..., :3], "bgr8"
        seen = told if encoding == self.pixels else encoding
        rows, columns = picture.shape[:2]
        if ((rows, columns), seen) != (self.size, self.encoding):
            return None, self._differs(rows, columns, seen)
        return picture, ""

    def _differs(self, rows: int, columns: int, encoding: str) -> str:
        wanted = f"{self.size[0]} × {self.size[1]} {self.encoding}"
        return f"pictures on {self.topic} are {rows} × {columns} {encoding}, they must be {wanted}"
