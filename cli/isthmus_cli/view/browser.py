"""A MuJoCo model in a page of a browser, by viser: the shapes that MuJoCo's viewer draws, where its bodies are, and the positions of its joints."""

from __future__ import annotations

import contextlib
import io
import time
from types import TracebackType
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_cli.console import say

__all__ = ["Page", "triangles"]

PORT = 8080
_DRAWN = 3  # groups of shapes that MuJoCo's viewer draws: 0 to 2
_GREY = (0.5, 0.5, 0.5, 1.0)  # MuJoCo's colour of a shape that has none of its own
_NEWS = 0.2  # s between two readings of the joints: people read no faster


class Page:
    """The page of one model, served on this computer alone; used as MuJoCo's passive viewer is, in a `with` block.

    Attributes:
        server: viser's.
        frames: body → its frame in the page, for bodies that can move.
    """

    def __init__(self, model: Any, data: Any) -> None:
        """Serve the page.

        Args:
            model: MjModel.
            data: its MjData, which somebody else moves.

        Raises:
            ModuleNotFoundError: viser is not installed.
        """
        import viser

        from isthmus_sim.rendering import ground_below

        self._model, self._data, self._told = model, data, -np.inf
        with contextlib.redirect_stdout(io.StringIO()):  # a box with what is said below
            self.server = viser.ViserServer(host="127.0.0.1", port=PORT, label="isthmus view", verbose=False)
        scene, center, away = self.server.scene, model.stat.center, 1.5 * model.stat.extent
        self.server.initial_camera.position, self.server.initial_camera.look_at = center + away * np.array([0.8, -0.6, 0.5]), center
        scene.set_up_direction("+z")
        if (ground := ground_below(model, data)) is not None:
            scene.add_grid("/ground", infinite_grid=True, position=(0.0, 0.0, ground))
        self.frames: dict[int, Any] = {}
        for body in range(model.nbody):
            name = f"/{model.body(body).name or body}"
            frame = scene.add_frame(name, show_axes=False, position=data.xpos[body], wxyz=data.xquat[body])
            if model.body_weldid[body] or model.body_mocapid[body] >= 0:
                self.frames[body] = frame
            for shape in range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body]):
                self._draw(f"{name}/{model.geom(shape).name or shape}", shape)
        self._joints = self.server.gui.add_markdown(self._reading())
        port = self.server.get_port()
        say(f"page: http://localhost:{port}, until Ctrl-C; from another computer: ssh -L {port}:localhost:{port} …")

    def __enter__(self) -> Page:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()

    def is_running(self) -> bool:
        """Whether somebody could still look: the page is served until the command ends."""
        return True

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Nothing is read while the model is moved."""
        return contextlib.nullcontext()

    def sync(self) -> None:
        """Show where the bodies are now."""
        with self.server.atomic():
            for body, frame in self.frames.items():
                frame.position, frame.wxyz = self._data.xpos[body], self._data.xquat[body]
        if time.monotonic() > self._told + _NEWS:
            self._told = time.monotonic()
            self._joints.content = self._reading()

    def _draw(self, name: str, shape: int) -> None:
        import mujoco

        model, scene = self._model, self.server.scene
        red, green, blue, opacity = _colour(model, shape)
        if model.geom_group[shape] >= _DRAWN or not opacity:
            return
        place = {"position": model.geom_pos[shape], "wxyz": model.geom_quat[shape]}
        if mujoco.mjtGeom(model.geom_type[shape]) == mujoco.mjtGeom.mjGEOM_PLANE:
            scene.add_grid(name, infinite_grid=True, **place)
            return
        vertices, faces = triangles(model, shape)
        colour = (round(255 * red), round(255 * green), round(255 * blue))
        scene.add_mesh_simple(name, vertices, faces, color=colour, opacity=None if opacity >= 1 else opacity, side="double", **place)

    def _reading(self) -> str:
        """The joints, as a table: rad or m."""
        import mujoco

        lines = ["| joint | rad or m |", "|---|---|"]
        for joint in range(self._model.njnt):
            if mujoco.mjtJoint(self._model.jnt_type[joint]) in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE):
                lines.append(f"| {self._model.joint(joint).name} | {self._data.qpos[self._model.jnt_qposadr[joint]]:.3f} |")
        return "\n".join(lines)


def _colour(model: Any, shape: int) -> tuple[float, float, float, float]:
    own, material = tuple(map(float, model.geom_rgba[shape])), model.geom_matid[shape]
    red, green, blue, opacity = model.mat_rgba[material] if material >= 0 and np.allclose(own, _GREY) else own
    return float(red), float(green), float(blue), float(opacity)


def triangles(model: Any, shape: int) -> tuple[Array, Array]:
    """The surface of a shape in its own frame.

    Args:
        model: MjModel.
        shape: index of a geom that is no plane.

    Returns:
        vertices, m, `[V, 3]`, and indices of three of them per face, `[F, 3]`.
    """
    import mujoco
    from trimesh import creation

    kind, size, of = mujoco.mjtGeom(model.geom_type[shape]), model.geom_size[shape], model.geom_dataid[shape]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        vertex, face = model.mesh_vertadr[of], model.mesh_faceadr[of]
        return model.mesh_vert[vertex : vertex + model.mesh_vertnum[of]], model.mesh_face[face : face + model.mesh_facenum[of]]
    if kind == mujoco.mjtGeom.mjGEOM_HFIELD:
        return _terrain(model, of)
    radius, half = float(size[0]), float(size[1])
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        made = creation.box(extents=2 * size)
    elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        made = creation.cylinder(radius=radius, height=2 * half)
    elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        made = creation.capsule(radius=radius, height=2 * half)
        made.apply_translation(-made.bounds.mean(axis=0))
    else:
        made = creation.icosphere(subdivisions=3)
        made.apply_scale(size if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID else radius)
    return np.asarray(made.vertices), np.asarray(made.faces)


def _terrain(model: Any, of: int) -> tuple[Array, Array]:
    rows, columns, first = int(model.hfield_nrow[of]), int(model.hfield_ncol[of]), model.hfield_adr[of]
    across, along, height = model.hfield_size[of][:3]
    heights = height * model.hfield_data[first : first + rows * columns].reshape(rows, columns)
    x, y = np.meshgrid(np.linspace(-across, across, columns), np.linspace(-along, along, rows))
    corner = np.arange(rows * columns).reshape(rows, columns)
    here, right, up, far = (part.ravel() for part in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]))
    faces = np.concatenate([np.stack([here, right, far], axis=1), np.stack([here, far, up], axis=1)])
    return np.stack([x, y, heights], axis=-1).reshape(-1, 3), faces
