"""Pictures for pages: a task at the beginning of an episode, and stills of an episode, cut out of their background for light and dark pages."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from isthmus.files import whole_file
from isthmus.records import Array
from isthmus.runner import Tick
from isthmus_evidence.pictures.film import Film
from isthmus_sim.episodes import episode_start
from isthmus_sim.plants import RenderedSimulator, task_plant
from isthmus_sim.task import Task

__all__ = ["Stills", "cut_out", "picture", "save_stills"]

_SIZE = 720  # pixels
_MARGIN = 0.04  # of the larger side
_PAGE = (540, 960)  # pixels, of a task's picture


class Stills(Film):
    """A film of a few moments: early ones lie closer together, because a reaching arm soon arrives.

    Attributes:
        steps: control periods after which pictures are taken, counted from 0.
    """

    def __init__(self, count: int, episode_steps: int) -> None:
        """Choose the moments.

        Args:
            count: number of pictures, >= 2.
            episode_steps: length of the episode.
        """
        super().__init__(size=(_SIZE, _SIZE), studio=False)
        self.steps = tuple(sorted({round((episode_steps - 1) * (index / (count - 1)) ** 2) for index in range(count)}))

    @property
    def stride(self) -> int:
        """1: the chosen moments are all taken."""
        return 1

    def camera(self, plant: RenderedSimulator, task: Task) -> Callable[[Tick], None]:
        """See `Film.camera`."""
        shoot = super().camera(plant, task)
        return lambda tick: shoot(tick) if tick.index in self.steps else None


def picture(task: Task, plant: str = "mujoco", seed: int = 0) -> bytes:
    """A PNG of a task at the beginning of an episode, as the reference page shows it.

    Args:
        task: what is shown; points among its inputs are green spheres.
        plant: name of the engine.
        seed: of the episode.
    """
    from PIL import Image

    simulator = task_plant(plant, task)
    try:
        start = episode_start(task, [seed])
        simulator.reset(seeds=[seed], state=start.state, parameters=start.parameters)
        shot = Film(size=_PAGE).picture(simulator, task, start.inputs)
    finally:
        simulator.close()
    file = io.BytesIO()
    Image.fromarray(shot).save(file, "PNG", optimize=True)
    return file.getvalue()


def cut_out(pictures: Mapping[str, Sequence[Array]]) -> dict[str, list[Array]]:
    """Make the background transparent and crop all pictures to the part in which anything is ever seen.

    Args:
        pictures: `[H, W, 3]` uint8, all of one size, by plant; the colour of the first pixel is the background of its picture.

    Returns:
        pictures `[h, w, 4]` uint8 by plant, all of one size.
    """
    masks = {plant: [(frame != frame[0, 0]).any(axis=-1) for frame in frames] for plant, frames in pictures.items()}
    seen = np.any([mask for group in masks.values() for mask in group], axis=0)
    box = tuple(_span(seen.any(axis=axis)) for axis in (1, 0))
    return {
        plant: [np.dstack([frame, 255 * mask.astype(np.uint8)])[box] for frame, mask in zip(frames, masks[plant], strict=True)]
        for plant, frames in pictures.items()
    }


def save_stills(folder: Path, films: Mapping[str, Stills]) -> dict[str, list[Array]]:
    """Write `PLANT-STEP.png` for every picture.

    Returns:
        the pictures as written, `[h, w, 4]` uint8 by plant.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    pictures = cut_out({plant: film.frames for plant, film in films.items()})
    for plant, frames in pictures.items():
        for step, frame in zip(films[plant].steps, frames, strict=False):  # an episode that the guard stopped has fewer
            with whole_file(folder / f"{plant}-{step:06d}.png") as partial:
                Image.fromarray(frame).save(partial, optimize=True)
    return pictures


def _span(seen: Array) -> slice:
    """From the first to the last True with a margin; everything if there is none."""
    (indices,) = np.nonzero(seen)
    if not indices.size:
        return slice(None)
    margin = round(_MARGIN * seen.size)
    return slice(max(int(indices[0]) - margin, 0), int(indices[-1]) + margin + 1)
