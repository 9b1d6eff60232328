"""Shows a MuJoCo model while somebody else moves it: in MuJoCo's window, in a page of a browser, or as a film."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from isthmus_cli.view.browser import Page
from isthmus_evidence.pictures.film import Film

__all__ = ["PERIOD", "film_motion", "opened", "show_motion"]

PERIOD = 0.04  # s between two pictures


def opened(model: Any, data: Any, browser: bool) -> AbstractContextManager[Any]:
    """A window or a page, with `is_running`, `lock` and `sync` of MuJoCo's passive viewer."""
    if browser:
        return Page(model, data)
    import mujoco.viewer

    window: AbstractContextManager[Any] = mujoco.viewer.launch_passive(model, data)
    return window


def show_motion(model: Any, data: Any, moments: Callable[[], Iterable[object]], film: Film | None, browser: bool) -> None:
    """Film a motion once, or show it again and again until the window is closed.

    Args:
        model: MjModel.
        data: its MjData, which the moments change.
        moments: begins the motion; each moment puts the model where it is `PERIOD` later.
        film: gets the pictures; None for a window or a page.
        browser: a page instead of a window.
    """
    if film:
        film_motion(model, data, moments(), film)
        return
    from isthmus_sim.rendering import look

    look(model, data)
    with opened(model, data, browser) as window:
        while window.is_running():
            for _ in moments():
                look(model, data)
                window.sync()
                time.sleep(PERIOD)
                if not window.is_running():
                    return


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
