"""A slider that strikes a puck on a floor, with known truths, and logs of it: joint, command and the puck's pose."""

import mujoco
import numpy as np

SOFT, STIFF = {"kp": 60, "kv": 6}, {"kp": 2000, "kv": 80}  # servos of the slider
NOMINAL = {"mass": 0.4, "friction": 0.3, "com": 0.0}
TRUTH = {"mass": 0.6, "friction": 0.2, "com": 0.008}

MODEL = """<mujoco><option timestep="0.005" integrator="implicitfast" cone="elliptic"/><worldbody>
<geom type="plane" size="3 3 0.1" friction="0.01 0 0"/>
<body name="head" pos="0 0 0.03"><joint name="slider" type="slide" axis="1 0 0" damping="2"/>
<geom type="capsule" size="0.01" fromto="0 0 -0.01 0 0 0.01" mass="1" friction="0.01 0 0"/></body>
<body name="puck" pos="0.2 0 0.02"><freejoint/><inertial pos="0 {com} 0" mass="{mass}" diaginertia="{i} {i} {i}"/>
<geom type="box" size="0.05 0.05 0.02" friction="{friction} 0 0"/></body>
</worldbody><actuator><position name="drive" joint="slider" kp="{kp}" kv="{kv}"/></actuator></mujoco>"""

PARAMETERS = """signals:
  time: t
  position: {slider: q}
  position_command: {slider: u}
  pose: {puck: [x, y, z, qw, qx, qy, qz]}
unknown:
"""
BOUNDS = {"mass": "  puck.mass: [0.2, 1.2]\n", "friction": "  puck.friction: [0.05, 0.6]\n", "com": "  puck.com_y: [-0.03, 0.03]\n"}


def model_text(values):
    return MODEL.format(**{**SOFT, **values}, i=0.001 * values["mass"] / NOMINAL["mass"])


def strikes(path, values=TRUTH, *, way=0.3, count=2, noise=5e-4, seconds=1.0, seed=0):
    """Write a CSV at 50 Hz: the slider goes to and fro by `way` in some seconds, further each time.

    Poses have noise (m; twice in rad), and every ninth is lost.
    """
    generator = np.random.default_rng(seed)
    model = mujoco.MjModel.from_xml_string(model_text(values))
    data = mujoco.MjData(model)
    rows = []
    moving = round(50 * seconds)
    for index in range(count * (moving + 25)):
        phase, part = divmod(index, moving + 25)
        asked = way * (1 + 0.5 * phase) * (1 - np.cos(2 * np.pi * min(part / moving, 1.0))) / 2
        place = data.qpos[1:4] + generator.normal(0, noise, 3)
        turn = data.qpos[4:8] + np.append(0.0, generator.normal(0, noise, 3))
        pose = [*place, *turn] if index % 9 != 8 else [np.nan] * 7
        rows.append([data.time, data.qpos[0], asked, *pose])
        data.ctrl[:] = asked
        for _ in range(4):
            mujoco.mj_step(model, data)
    np.savetxt(path, np.array(rows), delimiter=",", header="t,q,u,x,y,z,qw,qx,qy,qz", comments="")
    return path
