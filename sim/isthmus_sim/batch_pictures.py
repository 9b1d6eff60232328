"""Pictures of the rows of a `mujoco.batch.Batch`, each drawn from its own model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mujoco

from isthmus.records import Array
from isthmus.robot import Camera
from isthmus_sim.appearance import Appearance
from isthmus_sim.cameras import View, camera_view
from isthmus_sim.rendering import BEAUTIFUL, FAST, PLAIN, Profile, Renderer, ground_below, look

__all__ = ["BatchPictures"]

_SHADOWS = 256  # px, edge of the shadow map of observations whose lights cast shadows


class BatchPictures:
    """Draws rows; graphics contexts are made when they are first needed.

    Attributes:
        model: the model that the batch was made of.
    """

    def __init__(self, model: Any, batch: Any) -> None:
        """Bind the batch.

        Args:
            model: the MjModel that the batch was made of.
            batch: `mujoco.batch.Batch`.
        """
        self.model = model
        self._batch = batch
        self._row_model: Any = None
        self._data = mujoco.MjData(model)
        self._renderers: dict[tuple[int, int, Profile, bool], Renderer] = {}

    def look(self, row: int) -> tuple[Any, Any]:
        """The row's own MjModel and its MjData with positions computed; both are overwritten by the next call."""
        self._row_model = self._batch.get_model(row, self._row_model)
        self._batch.get_data(row, self._data)
        look(self._row_model, self._data)
        return self._row_model, self._data

    def camera(self, row: int, camera: Camera, appearance: Appearance | None = None) -> Array:
        """What a camera of the robot sees now, `[H, W, 3]` uint8; `CameraRig` calls it."""
        model, data = self.look(row)
        link = data.body(camera.link)
        where = (link.xpos, link.xmat.reshape(3, 3))
        profile = FAST
        if appearance is None:
            view = camera_view(camera, *where)
        else:
            view = appearance.view(camera, *where)
            appearance.paint(model)
            mujoco.mj_camlight(model, data)
            if appearance.shadows.any():
                profile = replace(FAST, shadows=_SHADOWS)
        sky = appearance.sky if appearance is not None else None
        renderer = self._renderer(view, profile, own_sky=sky is not None)
        if sky is not None:
            renderer.set_sky(*sky)
        return renderer.picture(model, data, view)

    def picture(self, row: int, view: View, markers: Sequence[tuple[float, float, float]] = (), *, studio: bool = False) -> Array:
        """A picture for people, `[H, W, 3]` uint8.

        Args:
            row: of the batch.
            view: camera.
            markers: points to be shown as small green spheres, m.
            studio: with ground, shadows and sky; otherwise before the model's own background.
        """
        model, data = self.look(row)
        return self._renderer(view, BEAUTIFUL if studio else PLAIN).picture(model, data, view, markers)

    def close(self) -> None:
        """Release the graphics contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers = {}

    def _renderer(self, view: View, profile: Profile, *, own_sky: bool = False) -> Renderer:
        key = (view.height, view.width, profile, own_sky)  # a sky stays where it was painted
        if key not in self._renderers:
            ground = ground_below(self.model, self._data) if profile.studio else None
            self._renderers[key] = Renderer(self.model, view.height, view.width, profile, ground)
        return self._renderers[key]
