"""A two-joint arm with known truths, and logs of it as other people's robots write them."""

import mujoco
import numpy as np

NOMINAL = {"d1": 0.4, "d2": 0.3, "f1": 0.2, "f2": 0.1, "a1": 0.04, "a2": 0.03, "m2": 0.8}
TRUTH = {"d1": 0.7, "d2": 0.2, "f1": 0.35, "f2": 0.15, "a1": 0.06, "a2": 0.02, "m2": 1.1}
NAMES = {
    "d1": "j1.damping",
    "d2": "j2.damping",
    "f1": "j1.frictionloss",
    "f2": "j2.frictionloss",
    "a1": "j1.armature",
    "a2": "j2.armature",
    "m2": "link2.mass",
}

MODEL = """<mujoco><option timestep="0.005" integrator="implicitfast"/><worldbody>
<body name="link1"><joint name="j1" axis="0 1 0" damping="{d1}" frictionloss="{f1}" armature="{a1}"/>
<inertial pos="0.1 0 0" mass="1" diaginertia="0.01 0.01 0.01"/>
<body name="link2" pos="0.3 0 0"><joint name="j2" axis="0 1 0" damping="{d2}" frictionloss="{f2}" armature="{a2}"/>
<inertial pos="0.15 0 0" mass="{m2}" diaginertia="{i2} {i2} {i2}"/></body></body></worldbody>
<actuator>{actuators}</actuator></mujoco>"""
MOTORS = '<motor name="m1" joint="j1"/><motor name="m2" joint="j2"/>'
SERVOS = '<position name="m1" joint="j1" kp="30" kv="2"/><position name="m2" joint="j2" kp="20" kv="1"/>'

SIGNALS = """signals:
  time: t
  position: {j1: q1, j2: q2}
"""
EFFORTS = SIGNALS + "  effort_command: {j1: u1, j2: u2}\n"
TARGETS = SIGNALS + "  position_command: {j1: u1, j2: u2}\n"


def model_text(values, actuators=MOTORS):
    return MODEL.format(**values, i2=0.005 * values["m2"] / NOMINAL["m2"], actuators=actuators)


def simulate(values=TRUTH, *, actuators=MOTORS, seconds=6.0, delay=2, seed=0, still=False, scale=1.0, friction=None, dry=None, stand=None):
    """Time, positions and commands of an arm that follows sines, at 100 Hz; the delay is in samples, encoders have 14 bit.

    `friction` is a force of positions and velocities beside the model's, `dry` the size of its dry friction by velocities,
    `stand` how the base accelerates along x by time.
    """
    generator = np.random.default_rng(seed)
    model = mujoco.MjModel.from_xml_string(model_text(values, actuators))
    data = mujoco.MjData(model)
    count = int(seconds * 100)
    time = np.arange(count) * 0.01
    frequency, phase = generator.uniform(0.3, 2.5, (2, 5)), generator.uniform(0, 2 * np.pi, (2, 5))
    wanted = np.stack(
        [0.25 * np.sin(2 * np.pi * f[:, None] * time + p[:, None]).sum(0) for f, p in zip(frequency, phase, strict=True)], axis=1
    )
    wanted[:, 0] -= 0.5
    if still:
        wanted[:, 1] = 0.0
    data.qpos[:] = wanted[0]
    positions, commands = [], []
    for index in range(count):
        positions.append(data.qpos.copy())
        if "motor" in actuators:
            commands.append(np.array([30.0, 15.0]) * (wanted[index] - data.qpos) - np.array([2.0, 1.0]) * data.qvel)
        else:
            commands.append(wanted[index])
        for _ in range(2):
            data.ctrl[:] = commands[max(index - delay, 0)] * scale
            if friction is not None:
                data.qfrc_applied[:] = friction(data.qpos, data.qvel)
            if stand is not None:
                model.opt.gravity[0] = -stand(data.time)
            if dry is not None:
                model.dof_frictionloss[:] = dry(data.qvel)
            mujoco.mj_step(model, data)
    step = 2 * np.pi / 2**14
    return time, np.round(np.array(positions) / step) * step, np.array(commands)


def write_csv(path, time, position, command):
    np.savetxt(path, np.column_stack([time, position, command]), delimiter=",", header="t,q1,q2,u1,u2", comments="")
    return path


def unknown(*keys, delay=True):
    bounds = {"d": "[0, 2]", "f": "[0, 1]", "a": "[0, 0.2]", "m": "[0.4, 2]"}
    lines = [f"  {NAMES[key]}: {bounds[key[0]]}" for key in keys or NAMES] + (["  action_delay: [0, 0.05]"] if delay else [])
    return "unknown:\n" + "\n".join(lines) + "\n"
