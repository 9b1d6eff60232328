"""A contract that several tests of the core share: reach with the UR5e, or torque control of the pendulum."""

import dataclasses

from isthmus import Contract, Signal, load_robot

UNITS = {"position": "rad", "velocity": "rad/s", "effort": "N*m"}
UR5E = load_robot("ur5e")
PENDULUM = load_robot("pendulum")


def joint_signal(name, robot, source, unit, **changes):
    count = len(robot.joints)
    return Signal(name, source, robot.joint_names, unit, (float("-inf"),) * count, (float("inf"),) * count, **changes)


def make_contract(robot=UR5E, mode="velocity", period=0.05, horizon=1, signals=None, **changes):
    limits = robot.limits()
    bound = tuple({"position": (6.0,) * len(robot.joints), "velocity": limits.velocity, "effort": limits.effort}[mode])
    signals = signals or (
        joint_signal("position", robot, "joint_position", "rad"),
        joint_signal("velocity", robot, "joint_velocity", "rad/s"),
        joint_signal("previous", robot, "previous_action", UNITS[mode]),
        Signal("goal", "input", ("x", "y", "z"), "m", (-2.0,) * 3, (2.0,) * 3),
    )
    action = Signal("action", f"joint_{mode}", robot.joint_names, UNITS[mode], tuple(-b for b in bound), bound)
    return dataclasses.replace(
        Contract(robot.name, "sample", signals, action, limits, period, horizon, {robot.joints[0].name: (robot.joints[0].home, 0.1)}),
        **changes,
    )
