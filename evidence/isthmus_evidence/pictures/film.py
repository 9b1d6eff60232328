"""Films an episode of a simulated plant."""

from __future__ import annotations

import errno
import math
import os
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.files import named, partial_of
from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.runner import Tick
from isthmus_sim.plants import RenderedSimulator
from isthmus_sim.task import Task

__all__ = ["Film", "check_format"]

_FORMATS = (".gif", ".mp4")
_FASTEST = 50.0  # pictures per second; more are not seen
_POINTS = (("x", "y", "z"), ("x", "y"), ("x", "y", "z", "vx", "vy", "vz"))  # the last ones move
_LARGE, _SMALL = (720, 1280), (360, 480)  # an MP4 is compressed on the way, a GIF is kept in memory


class Film:
    """The pictures of one episode in real time.

    Attributes:
        frames: pictures so far, `[height, width, 3]` uint8 each; empty while an MP4 is written.
        period: control period, s; to be set before the first picture.
        size: rows and columns of pictures that `camera` takes.
    """

    def __init__(self, path: Path | str | None = None, size: tuple[int, int] | None = None, *, studio: bool = True) -> None:
        """Start empty.

        Args:
            path: .mp4 to write while filming, or .gif to write at the end; None keeps the pictures.
            size: rows and columns of pictures that `camera` takes; by default 720 × 1280 for an MP4 and 360 × 480 otherwise.
            studio: ground, shadows and sky, where the engine has them.

        Raises:
            ValueError: another suffix.
            ModuleNotFoundError: an MP4 without imageio; the message tells the command that installs it.
        """
        if path is not None:
            check_format(path := strict.path("the file of a film", path))
        self.frames: list[Array] = []
        self.period = 0.0
        self._path, self._studio = path, studio
        self._streams = path is not None and path.suffix == ".mp4"
        self.size = size or (_LARGE if self._streams else _SMALL)
        self._writer: Any = None
        self._file: Path | None = None  # becomes the film when it is whole
        self._periods = 0

    @property
    def stride(self) -> int:
        """Control periods between two pictures."""
        return max(math.ceil(1 / (_FASTEST * self.period) - 1e-9), 1)

    def camera(self, plant: RenderedSimulator, task: Task) -> Callable[[Tick], None]:
        """What to call after each control period: it takes a picture of row 0, with points among the task's inputs as green spheres."""
        self.period = task.contract.control_period
        inputs: Mapping[str, Array] = {}

        def shoot(tick: Tick) -> None:
            nonlocal inputs
            inputs = tick.inputs or inputs  # a continued chunk has none
            self.add(lambda: self.picture(plant, task, inputs, (tick.index + 1) * self.period))

        return shoot

    def picture(self, plant: RenderedSimulator, task: Task, inputs: Mapping[str, Array], time: float = 0.0) -> Array:
        """A picture of row 0 now, `[H, W, 3]` uint8, with points among the task's inputs as green spheres, also those that move.

        Args:
            plant: what is shown.
            task: says where to look.
            inputs: `[B, n]` per name.
            time: s since the episode began.
        """
        points = [signal.name for signal in task.contract.inputs if signal.elements in _POINTS and signal.name in inputs]
        height, width = self.size
        x, y, z = task.look_at
        if plant.robot.base.kind == "floating":  # it walks away
            root = plant.truth().poses[Kinematics(plant.robot.urdf_path).base][0]
            x, y = x + float(root[0]), y + float(root[1])
        return plant.render(
            height=height,
            width=width,
            look_at=(x, y, z),
            distance=task.camera_distance,
            markers=tuple(_point(inputs[name][0], time) for name in points),
            studio=self._studio,
        )

    def add(self, take: Callable[[], Array]) -> None:
        """Append a picture; call it once per control period.

        Args:
            take: gives `[H, W, 3]` uint8, always of one size; it is not called where more pictures would not be seen.
        """
        due = self._periods % self.stride == 0
        self._periods += 1
        if not due:
            return
        if self._path and not self._file:
            self._open(self._path)
        picture = take()
        if not self._streams or self._path is None:
            self.frames.append(picture)
            return
        if self._writer is None:
            import imageio

            self._writer = imageio.get_writer(self._file, fps=1 / (self.period * self.stride), macro_block_size=8)
        self._encoded(self._writer.append_data, picture)

    def save(self) -> None:
        """Finish the file, which appears now.

        Raises:
            ValueError: nothing was filmed, or there is no file to write.
            OSError: it cannot be written; the message names it.
        """
        if self._path is None or self._file is None or not (self.frames or self._writer):
            raise ValueError(f"nothing was filmed, so {self._path or 'a film'} cannot be written")
        if self._writer is not None:
            self._encoded(self._writer.close)
            self._writer = None
        else:
            from PIL import Image

            first, *rest = [Image.fromarray(frame) for frame in self.frames]
            milliseconds = round(self.period * self.stride * 1000)
            try:
                with named(self._path):
                    first.save(self._file, save_all=True, append_images=rest, duration=milliseconds, loop=0)
            except OSError:
                self._file.unlink()
                raise
        with named(self._path):
            self._file.replace(self._path)
        self._file = None

    def _open(self, path: Path) -> None:
        """See now that the file can be written: a GIF is written at the end, and ffmpeg would say in many lines that it cannot."""
        with named(path):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = partial_of(path)
            self._file.open("wb").close()
        weakref.finalize(self, self._file.unlink, missing_ok=True)  # a film that is never saved leaves nothing

    def _encoded(self, write: Callable[..., None], *values: Any) -> None:
        try:
            write(*values)
        except OSError as error:  # imageio adds what it called, in many lines
            raise OSError(f"{self._path}: the film cannot be written: {str(error).strip().splitlines()[0]}") from None


def _point(values: Array, time: float) -> tuple[float, float, float]:
    """A point of the plane lies on the ground; one with a velocity flies straight."""
    if len(values) == 6:
        values = values[:3] + time * values[3:]
    return float(values[0]), float(values[1]), float(values[2]) if len(values) == 3 else 0.0


def check_format(path: Path) -> None:
    """Refuse a file that a film could not be written to, before anything runs.

    Raises:
        ValueError: unknown suffix.
        ModuleNotFoundError: an MP4 without imageio; the message tells the command that installs it.
    """
    import importlib.util

    if path.suffix not in _FORMATS:
        raise ValueError(f"unknown video format {path.suffix!r}; {strict.suggest(path.suffix, _FORMATS)}")
    if path.suffix == ".mp4" and not (importlib.util.find_spec("imageio") and importlib.util.find_spec("imageio_ffmpeg")):
        raise ModuleNotFoundError("an MP4 needs imageio with ffmpeg; install it with: pip install imageio imageio-ffmpeg, or write a .gif")
