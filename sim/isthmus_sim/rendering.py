"""Pictures of MuJoCo models: fast ones for observations, beautiful ones for people.

MuJoCo's own `Renderer` is made for pictures that people look at: with a software driver most of its time goes into shadows, multisampling and an
off-screen buffer that is larger than the picture. `FAST` has none of them; `PLAIN` has smooth edges before the model's own background, to be cut
out; `BEAUTIFUL` adds a ground, soft light and a sky that the model lacks.
"""

from __future__ import annotations

import copy
import importlib
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.cameras import View
from isthmus_sim.graphics import NO_DRIVER, check_drawing, has_screen

__all__ = ["BEAUTIFUL", "FAST", "PLAIN", "Profile", "Renderer", "drawn_by", "ground_below", "look"]

_MARKER_RADIUS = 0.011  # of the camera's distance
_MARKER_COLOR = (0.15, 0.65, 0.25, 1.0)
_GROUND_COLOR = (0.86, 0.88, 0.90, 1.0)
_HORIZON, _ZENITH = (0.90, 0.93, 0.96), (0.50, 0.64, 0.80)
_GROUND_SIZE = 40.0  # m, half an edge


@dataclass(frozen=True, slots=True)
class Profile:
    """What a renderer spends its time on.

    Attributes:
        samples: per pixel.
        shadows: edge of the shadow map, px; 0 for no shadows.
        reflections: whether glossy planes mirror.
        studio: own light, sky and ground instead of the model's.
    """

    samples: int
    shadows: int
    reflections: bool
    studio: bool


FAST = Profile(samples=0, shadows=0, reflections=False, studio=False)
PLAIN = Profile(samples=8, shadows=0, reflections=False, studio=False)
BEAUTIFUL = Profile(samples=8, shadows=2048, reflections=True, studio=True)


class Renderer:
    """Draws pictures of one size; close it before the interpreter ends.

    Attributes:
        height: rows.
        width: columns.
        profile: what it spends its time on.
    """

    def __init__(self, model: Any, height: int, width: int, profile: Profile = FAST, ground: float | None = None) -> None:
        """Prepare the graphics context.

        Args:
            model: the MjModel, with the meshes, textures and materials of every model that will be drawn.
            height: rows.
            width: columns.
            profile: what to spend time on.
            ground: height of the ground of the studio, m; None for no ground.
        """
        self.height, self.width, self.profile = height, width, profile
        self._ground = ground
        self._assets = _prepared(model, height, width, profile)
        self._gl = _graphics(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(self._assets, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 1000)
        self._option = mujoco.MjvOption()
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = profile.shadows > 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = profile.reflections
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = False
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)
        self._finalizer = weakref.finalize(self, _free, self._context, self._gl)  # before the graphics library is taken down

    def picture(self, model: Any, data: Any, view: View, markers: Sequence[tuple[float, float, float]] = ()) -> Array:
        """A picture `[H, W, 3]` uint8, the first row on top.

        Args:
            model: the MjModel to draw; that of the constructor or one with other numbers, such as a row's own.
            data: its MjData, with positions computed (`look`).
            view: camera; its size must be the renderer's.
            markers: points to be shown as small green spheres, m.

        Raises:
            ValueError: the view has another size.
            RuntimeError: the renderer is closed.
        """
        self._update(model, data, view, markers)
        mujoco.mjr_render(self._rectangle, self._scene, self._context)
        mujoco.mjr_readPixels(self._pixels, None, self._rectangle, self._context)
        return np.ascontiguousarray(self._pixels[::-1])

    def depth(self, model: Any, data: Any, view: View) -> Array:
        """Distances along the optical axis, `[H, W]` float32, m; what is beyond the far plane has its distance.

        Raises:
            ValueError: the view has another size.
            RuntimeError: the renderer is closed.
        """
        self._update(model, data, view, ())
        flags = self._scene.flags.copy()
        self._scene.flags[:] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = True
        self._scene.flags[mujoco.mjtRndFlag.mjRND_CULL_FACE] = flags[mujoco.mjtRndFlag.mjRND_CULL_FACE]
        inverse = np.empty((self.height, self.width), np.float32)
        mujoco.mjr_render(self._rectangle, self._scene, self._context)
        mujoco.mjr_readPixels(None, inverse, self._rectangle, self._context)
        self._scene.flags[:] = flags
        near, far = _clipping(model)
        # MuJoCo's depth buffer is reversed: 1 at the near plane, 0 at the far plane.
        return np.ascontiguousarray((near * far / (near + inverse.astype(np.float64) * (far - near)))[::-1].astype(np.float32))

    def set_sky(self, horizon: Array, zenith: Array) -> None:
        """Colour the sky, from the horizon up, `[3]` each, 0 … 1; a model without a sky stays as it is."""
        sky = _sky_texture(self._assets)
        if sky is not None:
            self._gl.make_current()
            _paint_sky(self._assets, sky, horizon, zenith)
            mujoco.mjr_uploadTexture(self._assets, self._context, sky)

    def close(self) -> None:
        """Release the graphics context."""
        self._finalizer()

    def _update(self, model: Any, data: Any, view: View, markers: Sequence[tuple[float, float, float]]) -> None:
        if not self._finalizer.alive:
            raise RuntimeError("the renderer is closed")
        if (view.height, view.width) != (self.height, self.width):
            raise ValueError(f"this renderer draws {self.height} × {self.width} pixels, the view has {view.height} × {view.width}")
        self._gl.make_current()
        near, far = _clipping(model)
        left, right, bottom, top = view.edges()
        for camera in self._scene.camera:  # the two eyes are one
            camera.pos, camera.forward, camera.up = view.position, view.rotation[:, 2], -view.rotation[:, 1]
            camera.frustum_near, camera.frustum_far = near, far
            camera.frustum_bottom, camera.frustum_top = near * bottom, near * top
            camera.frustum_center, camera.frustum_width = near * (left + right) / 2, near * (right - left) / 2
        user = mujoco.MjvCamera()
        user.type = mujoco.mjtCamera.mjCAMERA_USER
        mujoco.mjv_updateScene(model, data, self._option, None, user, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene)
        for marker in markers:
            _add_geom(
                self._scene, mujoco.mjtGeom.mjGEOM_SPHERE, np.full(3, _MARKER_RADIUS * view.distance), np.array(marker), _MARKER_COLOR
            )
        if self.profile.studio:
            self._context.shadowClip = view.distance
            _light_studio(self._scene, view)
            if self._ground is not None:
                slab = np.array([_GROUND_SIZE, _GROUND_SIZE, 0.01])  # a plane that is not in the model is not drawn
                _add_geom(self._scene, mujoco.mjtGeom.mjGEOM_BOX, slab, np.array([0, 0, self._ground - 0.011]), _GROUND_COLOR)


def drawn_by() -> str:
    """What draws pictures here, as OpenGL calls it: a card, or "llvmpipe …" for the processor.

    Raises:
        OSError: there is nothing; the message says what to do.
    """
    renderer = Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 16, 16)
    gl = importlib.import_module("OpenGL.GL")  # for the platform that mujoco has chosen now
    try:
        return bytes(gl.glGetString(gl.GL_RENDERER) or b"").decode(errors="replace")
    finally:
        renderer.close()


def look(model: Any, data: Any) -> None:
    """Compute what a picture needs of a state: poses of bodies and lights, not the dynamics."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    mujoco.mj_tendon(model, data)


def ground_below(model: Any, data: Any) -> float | None:
    """Height for a ground that nothing sinks into: the world's origin, or the lowest point of the model with its endless hinges up or down.

    Args:
        model: MjModel.
        data: MjData in the state to look at.

    Returns:
        m; None if the model has a ground of its own.
    """
    if np.isin(model.geom_type, (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD)).any():
        return None
    posed = mujoco.MjData(model)
    endless = (model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE) & (model.jnt_limited == 0)
    lowest = 0.0
    for turn in (None, 0.0, np.pi):
        posed.qpos[:] = data.qpos
        if turn is not None:
            posed.qpos[model.jnt_qposadr[endless]] = model.qpos0[model.jnt_qposadr[endless]] + turn
        look(model, posed)
        down = posed.geom_xmat.reshape(-1, 3, 3)[:, 2]  # the world's vertical in the frames of the shapes
        centers = posed.geom_xpos[:, 2] + (down * model.geom_aabb[:, :3]).sum(axis=1)
        lowest = min(lowest, float((centers - (np.abs(down) * model.geom_aabb[:, 3:]).sum(axis=1)).min(initial=0.0)))
    return lowest if lowest < -0.01 else 0.0


def _graphics(width: int, height: int) -> Any:
    """A graphics context, without a screen too, whoever imported mujoco first and chose a window system by that.

    Raises:
        OSError: there is none; the message says what to do.
    """
    check_drawing()
    try:
        if not has_screen() and os.environ.get("MUJOCO_GL", "").lower().strip() in ("", "egl"):
            from mujoco.egl import GLContext
        else:
            from mujoco import GLContext
        return GLContext(width, height)
    except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
        raise OSError(f"MuJoCo cannot draw on this machine ({error}); {NO_DRIVER}") from None


def _prepared(model: Any, height: int, width: int, profile: Profile) -> Any:
    """A copy of the model whose settings make the wanted graphics context; the original is not touched."""
    assets = copy.copy(model)
    assets.vis.global_.offheight, assets.vis.global_.offwidth = height, width
    assets.vis.quality.offsamples = profile.samples
    assets.vis.quality.shadowsize = profile.shadows
    if profile.studio and (sky := _sky_texture(assets)) is not None:
        _paint_sky(assets, sky, np.array(_HORIZON), np.array(_ZENITH))
    return assets


def _clipping(model: Any) -> tuple[float, float]:
    return model.vis.map.znear * model.stat.extent, model.vis.map.zfar * model.stat.extent


def _sky_texture(model: Any) -> int | None:
    found = np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    return int(found[0]) if found.size else None


def _paint_sky(model: Any, sky: int, horizon: Array, zenith: Array) -> None:
    """A gradient on the six stacked squares of a sky box: right, left, up, down, front, back."""
    edge, rows, channels = int(model.tex_width[sky]), int(model.tex_height[sky]), int(model.tex_nchannel[sky])
    faces = np.empty((rows, edge, channels))
    height = np.clip(np.linspace(1, -1, edge), 0, 1)[:, None, None]  # of a pixel of the side faces above the horizon
    for face in range(rows // edge):
        share = 1.0 if face == 2 else 0.0 if face == 3 else height
        faces[face * edge : (face + 1) * edge] = np.asarray(horizon) * (1 - share) + np.asarray(zenith) * share
    start = int(model.tex_adr[sky])
    model.tex_data[start : start + faces.size] = np.round(255 * faces).astype(np.uint8).ravel()


def _light_studio(scene: Any, view: View) -> None:
    """A key light from above the camera's left shoulder that casts shadows, and two weak ones that lift them."""
    right, forward = view.rotation[:, 0], np.array([*view.rotation[:2, 2], 0.0])
    forward /= max(float(np.linalg.norm(forward)), 1e-9)
    down = np.array([0.0, 0.0, -1.0])
    lights = (
        (0.42, 0.6 * right + 0.5 * forward + 1.4 * down, True),
        (0.20, -0.9 * right + 0.4 * forward + 0.5 * down, False),
        (0.10, -forward + 0.6 * down, False),
    )
    scene.nlight = len(lights)
    for light, (intensity, direction, casts) in zip(scene.lights, lights, strict=False):
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        light.dir = direction / np.linalg.norm(direction)
        # The shadow map is a square around the line through the light.
        light.pos = view.position + view.distance * (view.rotation[:, 2] - 3.0 * light.dir)
        light.headlight, light.castshadow, light.texid = 0, int(casts), -1
        light.diffuse, light.specular = np.full(3, intensity), np.full(3, 0.4 * intensity)
        light.ambient = np.full(3, 0.15)
        light.attenuation, light.exponent, light.cutoff = np.array([1.0, 0, 0]), 0, 90


def _add_geom(scene: Any, kind: Any, size: Array, position: Array, color: tuple[float, ...]) -> None:
    geom = scene.geoms[scene.ngeom]
    mujoco.mjv_initGeom(geom, kind, size, position, np.eye(3).ravel(), np.array(color, np.float32))
    scene.ngeom += 1


def _free(context: Any, gl: Any) -> None:
    gl.make_current()
    context.free()
    gl.free()
