"""One named array of an observation or an action: where it is bound, its elements, unit, frame, bounds and history."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from isthmus import strict

__all__ = ["COMPONENTS", "MEMORY_LIMIT", "SOURCES", "CameraSpec", "Signal", "joined_units"]

SOURCES: Mapping[str, tuple[str, ...]] = {
    "joint_position": ("rad", "m"),
    "joint_velocity": ("rad/s", "m/s"),
    "joint_effort": ("N*m", "N"),
    "pose": ("m",),
    "twist": ("m/s",),
    "wrench": ("N",),
    "image": ("1",),
    "input": ("rad", "m", "rad/s", "m/s", "N*m", "N", "s", "1"),
    "previous_action": ("rad", "m", "rad/s", "m/s", "N*m", "N", "1"),
    "time": ("s",),
    "raw": ("1",),
}
"""Where a signal may be bound, with the units that fit; `raw` is an outside suite's own scale.

Any other source is the name of an installed recurrence.
"""

COMPONENTS = {
    "pose": ("x", "y", "z", "qx", "qy", "qz", "qw"),
    "twist": ("vx", "vy", "vz", "wx", "wy", "wz"),
    "wrench": ("fx", "fy", "fz", "tx", "ty", "tz"),
}
UNITS = tuple(sorted({unit for units in SOURCES.values() for unit in units}))
DTYPES = ("float32", "float64", "uint8")
MEMORY_LIMIT = 256 * 10**6
"""Largest memory of an observation for one row, bytes."""

_WINDOW = 100_000  # control periods that a history may reach over


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """How an image signal was taken.

    Attributes:
        height: rows of pixels.
        width: columns of pixels.
        channels: 3 for rgb8, 1 for mono8.
        encoding: "rgb8" or "mono8".
        intrinsics: fx, fy, cx, cy in pixels.
        distortion: plumb_bob coefficients, empty for none.
        crop: left, top, width, height in pixels of the full image, applied before scaling; None for no crop.
        latency: seconds between exposure and arrival.
    """

    height: int
    width: int
    channels: int = 3
    encoding: str = "rgb8"
    intrinsics: tuple[float, float, float, float] | None = None
    distortion: tuple[float, ...] = ()
    crop: tuple[int, int, int, int] | None = None
    latency: float = 0.0

    def __post_init__(self) -> None:
        strict.check_fields(self, "image: ")
        if self.height < 1 or self.width < 1:
            raise ValueError(f"an image must have at least one pixel, got {self.height} × {self.width}")
        if {"rgb8": 3, "mono8": 1}.get(self.encoding) != self.channels:
            raise ValueError(f"encoding must be rgb8 with 3 channels or mono8 with 1, got {self.encoding} with {self.channels}")
        if not self.latency >= 0:
            raise ValueError(f"latency must be >= 0 s, got {self.latency} s")


@dataclass(frozen=True, slots=True)
class Signal:
    """One named array of an observation, or the action.

    For `pose`, `twist`, `wrench`, `image` and `input` the signal's name is the name of the link, body, sensor, camera or input that it shows; a pose,
    twist or wrench may add what it is (`base_link_twist`), because names are unique.

    Attributes:
        name: unique in the contract.
        source: where it is bound: a key of `SOURCES` or the name of an installed recurrence.
        elements: joint or component names; they give the shape. Empty for an image.
        unit: SI unit of all elements; where they differ, as of joints that turn and joints that slide, one per element, "rad, rad, m". The
            quaternion part of a pose has none.
        low: lower bound per element; "-inf" where there is none.
        high: upper bound per element.
        frame: frame of the values; empty means the robot's base frame, or that no frame applies.
        dtype: "float32", "float64" or "uint8" (images).
        history: number of samples, oldest first; times `stride`, at most 100 000 control periods.
        stride: control periods between samples.
        camera: geometry of an image signal.

    Raises:
        ValueError: a field does not fit the others, or the samples in between need more than `MEMORY_LIMIT`; the message names the signal.
    """

    name: str
    source: str
    elements: tuple[str, ...]
    unit: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    frame: str = ""
    dtype: str = "float32"
    history: int = 1
    stride: int = 1
    camera: CameraSpec | None = None

    def problem(self, values: Sequence[float]) -> str:
        """Why the signal cannot have these values, in words that follow its name; "" if it can."""
        if len(values) != len(self.elements):
            return f"must have {len(self.elements)} elements ({', '.join(self.elements)}), got {len(values)}"
        for element, value, low, high, unit in zip(self.elements, values, self.low, self.high, self.units, strict=True):
            if not math.isfinite(value):
                return f"{element} must be finite, got {value:g}"
            if not low <= value <= high:
                return f"{element} must be from {low:g} to {high:g} {unit}, got {value:g} {unit}"
        return ""

    def __post_init__(self) -> None:
        at = f"signal {self.name!r}"
        strict.check_fields(self, f"{at}: ")
        if not self.name:
            raise ValueError("a signal needs a name")
        units = self.unit.split(", ")
        if bad := [unit for unit in units if unit not in SOURCES.get(self.source, UNITS)]:
            raise ValueError(f"{at}: unit of {self.source} must be one of {', '.join(SOURCES.get(self.source, UNITS))}, got {bad[0]!r}")
        if len(units) > 1 and (len(units) != len(self.elements) or self.unit != joined_units(units)):
            raise ValueError(
                f"{at}: unit must be one for all of its {len(self.elements)} elements, or, where they differ, one for each, got {self.unit!r}"
            )
        if self.dtype not in DTYPES or (self.dtype == "uint8") != (self.source == "image"):
            raise ValueError(f"{at}: dtype must be uint8 for images, float32 or float64 otherwise, got {self.dtype!r}")
        if (self.camera is not None) != (self.source == "image"):
            raise ValueError(f"{at}: a camera belongs to an image signal and to no other, source is {self.source!r}")
        if not self.elements and self.source != "image":
            raise ValueError(f"{at}: elements must not be empty")
        if len(set(self.elements)) != len(self.elements):
            raise ValueError(f"{at}: elements must be unique, got {', '.join(self.elements)}")
        for element in self.elements:
            if self.source in COMPONENTS and element not in COMPONENTS[self.source]:
                raise ValueError(f"{at}: unknown component {element!r}; {strict.suggest(element, COMPONENTS[self.source])}")
        for name, bound in (("low", self.low), ("high", self.high)):
            if len(bound) != len(self.elements):
                raise ValueError(f"{at}: {name} must have {len(self.elements)} entries, one per element, got {len(bound)}")
        for element, low, high in zip(self.elements, self.low, self.high, strict=True):
            if not low < high:
                raise ValueError(f"{at}: low must be < high, got {low} and {high} for {element}")
        if self.history < 1 or self.stride < 1:
            raise ValueError(f"{at}: history and stride must be >= 1, got {self.history} and {self.stride}")
        if self.history * self.stride > _WINDOW:
            raise ValueError(
                f"{at}: history × stride must be <= {_WINDOW} control periods, got {self.history} × {self.stride} = {self.history * self.stride}"
            )
        if self.memory > MEMORY_LIMIT:
            size = f"history {self.history}, stride {self.stride} and samples of {' × '.join(map(str, self.shape))} {self.dtype}"
            raise ValueError(f"{at}: {size} need {self.memory / 1e6:.0f} MB; at most {MEMORY_LIMIT / 1e6:.0f} MB are allowed")

    @property
    def units(self) -> tuple[str, ...]:
        """The unit of each element."""
        units = tuple(self.unit.split(", "))
        return units if len(units) > 1 else units * len(self.elements)

    @property
    def memory(self) -> int:
        """Bytes of all samples from the oldest to the newest, which are kept whether they are shown or not."""
        return ((self.history - 1) * self.stride + 1) * math.prod(self.shape) * {"float32": 4, "float64": 8, "uint8": 1}[self.dtype]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: `[len(elements)]`, or `[H, W, C]` for an image."""
        if self.camera is not None:
            return (self.camera.height, self.camera.width, self.camera.channels)
        return (len(self.elements),)


def joined_units(units: Iterable[str]) -> str:
    """Units of elements as `Signal.unit` has them: once if they are equal, else all."""
    listed = list(units)
    return listed[0] if len(set(listed)) == 1 else ", ".join(listed)
