"""The robot's cameras in a batch of simulations: one picture per row and camera, late by the camera's latency.

The engine takes the picture; this is what is the same for every engine: latency, the appearance of the row's episode, lens effects and encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from isthmus import strict
from isthmus.images import convert_color
from isthmus.records import Array
from isthmus.robot import Camera, Robot
from isthmus_sim.appearance import Appearance, AppearanceRanges

__all__ = ["CameraRig", "find_cameras"]

Take = Callable[[int, Camera, Appearance | None], Array]
_STREAM = 7  # keeps the draws of the appearance apart from other draws of the same seed


class CameraRig:
    """Cameras of a batch; `read` it once every control period.

    Attributes:
        cameras: of the robot's profile.
    """

    def __init__(
        self, cameras: Sequence[Camera], batch: int, period: float, take: Take, ranges: AppearanceRanges | None = None, bodies: int = 0
    ) -> None:
        """Set up.

        Args:
            cameras: of the robot's profile.
            batch: number of rows.
            period: control period, s.
            take: row, camera and appearance → picture `[H, W, 3]` uint8 of now.
            ranges: of the random appearance; None for none.
            bodies: number of bodies that have an appearance of their own.
        """
        self.cameras = tuple(cameras)
        self._take, self._ranges, self._bodies = take, ranges, bodies
        self._lags = [round(camera.spec.latency / period) for camera in self.cameras]
        self._generators = [np.random.default_rng([row, _STREAM]) for row in range(batch)]
        self._appearances: list[Appearance | None] = [None] * batch
        self._taken = np.full(batch, -1, dtype=np.int64)
        self._past = [
            np.zeros((batch, lag + 1, camera.spec.height, camera.spec.width, camera.spec.channels), np.uint8)
            for camera, lag in zip(self.cameras, self._lags, strict=True)
        ]
        self.reset(np.arange(batch), None)

    def reset(self, rows: Array, seeds: Sequence[int] | None) -> None:
        """Begin episodes of the rows: forget pictures, draw appearances."""
        self._taken[rows] = -1
        if self._ranges is None:
            return
        for place, row in enumerate(rows.tolist()):
            if seeds is not None:
                self._generators[row] = np.random.default_rng([seeds[place], _STREAM])
            self._appearances[row] = self._ranges.draw(self._generators[row], self._bodies)

    def read(self, steps: Array) -> dict[str, Array]:
        """The newest pictures that have arrived, `[B, H, W, C]` uint8 per camera; reading twice takes no second picture.

        Args:
            steps: control periods since each row's reset, `[B]`.
        """
        for row in np.flatnonzero(steps != self._taken).tolist():
            appearance = self._appearances[row]
            for camera, past in zip(self.cameras, self._past, strict=True):
                picture = self._take(row, camera, appearance)
                if appearance is not None:
                    picture = appearance.develop(picture, int(steps[row]))
                past[row, :-1] = past[row, 1:]
                past[row, -1] = convert_color(picture, "rgb8", camera.spec.encoding)
                if self._taken[row] < 0:
                    past[row] = past[row, -1]
            self._taken[row] = steps[row]
        return {camera.name: past[:, 0].copy() for camera, past in zip(self.cameras, self._past, strict=True)}


def find_cameras(robot: Robot, names: Sequence[str]) -> tuple[Camera, ...]:
    """The robot's cameras of these names.

    Raises:
        ValueError: it has no such camera; the message lists those that it has.
    """
    known = {camera.name: camera for camera in robot.cameras}
    for name in names:
        if name not in known:
            raise ValueError(f"robot {robot.name!r} has no camera {name!r}; {strict.suggest(name, known)}")
    return tuple(known[name] for name in names)
