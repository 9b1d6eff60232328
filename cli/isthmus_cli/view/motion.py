"""Films a MuJoCo model while somebody else moves it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from isthmus_evidence.pictures.film import Film

__all__ = ["PERIOD", "film_motion"]

PERIOD = 0.04  # s between two pictures


def film_motion(model: Any, data: Any, moments: Iterable[object], film: Film) -> None:
    """Take a picture at each moment, from where all of the model is seen.

    Args:
        model: MjModel.
        data: its MjData, which `moments` changes.
        moments: each puts the model where it is next.
        film: gets the pictures.
    """
    import numpy as np

    from isthmus_sim.cameras import free_view
    from isthmus_sim.rendering import BEAUTIFUL, Renderer, ground_below, look

    height, width = film.size
    look(model, data)
    view = free_view(tuple(model.stat.center), 2.0 * model.stat.extent, np.radians(55.0), np.radians(-20.0), height=height, width=width)
    renderer = Renderer(model, height, width, BEAUTIFUL, ground_below(model, data))
    film.period = PERIOD
    try:
        for _ in moments:
            look(model, data)
            film.add(lambda: renderer.picture(model, data, view))
    finally:
        renderer.close()
