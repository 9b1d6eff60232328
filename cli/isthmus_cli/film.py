"""Films an episode of a simulated plant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isthmus import strict
from isthmus.records import Array
from isthmus.runner import Tick
from isthmus_sim.plants import RenderedSimulator
from isthmus_sim.task import Task

__all__ = ["Film"]

_FORMATS = (".gif", ".mp4")


class Film:
    """The pictures of one episode, one per control period.

    Attributes:
        frames: pictures so far, `[height, width, 3]` uint8 each.
        period: seconds between them.
    """

    def __init__(self, height: int = 360, width: int = 480) -> None:
        """Start empty.

        Args:
            height: pixels.
            width: pixels.
        """
        self.frames: list[Array] = []
        self.period = 0.0
        self._height, self._width = height, width

    def camera(self, plant: RenderedSimulator, task: Task) -> Callable[[Tick], None]:
        """What to call after each control period: it takes a picture of row 0, with points among the task's inputs as green spheres."""
        self.period = task.contract.control_period
        points = [signal.name for signal in task.contract.inputs if signal.elements == ("x", "y", "z")]
        markers: tuple[tuple[float, float, float], ...] = ()

        def shoot(tick: Tick) -> None:
            nonlocal markers
            if tick.inputs:  # a continued chunk has none
                markers = tuple((float(point[0]), float(point[1]), float(point[2])) for point in (tick.inputs[name][0] for name in points))
            self.frames.append(
                plant.render(height=self._height, width=self._width, look_at=task.look_at, distance=task.camera_distance, markers=markers)
            )

        return shoot

    def save(self, path: Path) -> None:
        """Write a GIF (pillow) or an MP4 (imageio with ffmpeg).

        Raises:
            ValueError: another suffix, or nothing was filmed.
            ModuleNotFoundError: an MP4 without imageio; the message tells the command that installs it.
        """
        check_format(path)
        if not self.frames:
            raise ValueError(f"nothing was filmed, so {path} cannot be written")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".gif":
            from PIL import Image

            first, *rest = [Image.fromarray(frame) for frame in self.frames]
            first.save(path, save_all=True, append_images=rest, duration=round(self.period * 1000), loop=0)
            return
        import imageio

        imageio.mimsave(path, [*self.frames], fps=1 / self.period, macro_block_size=8)


def check_format(path: Path) -> None:
    """Refuse a file that `Film.save` could not write, before anything runs.

    Raises:
        ValueError: unknown suffix.
        ModuleNotFoundError: an MP4 without imageio; the message tells the command that installs it.
    """
    import importlib.util

    if path.suffix not in _FORMATS:
        raise ValueError(f"unknown video format {path.suffix!r}; {strict.suggest(path.suffix, _FORMATS)}")
    if path.suffix == ".mp4" and not (importlib.util.find_spec("imageio") and importlib.util.find_spec("imageio_ffmpeg")):
        raise ModuleNotFoundError("an MP4 needs imageio with ffmpeg; install it with: pip install imageio imageio-ffmpeg, or write a .gif")
