"""The rows of the fault table: what is done to which processes, and what must come of it.

Letters: N no effect, C clamped, R refused and nothing words.commanded, H braked and held, S braked and latched, X as S and the driver's stop services
called.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import fault_acts as acts
import fault_words as words
from fault_acts import Act, killed, says

__all__ = ["NOTES", "ROWS", "Row", "Setting", "arranged"]


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One arrangement of processes; rows that share it share the processes.

    Attributes:
        mode: command mode of the policy.
        transport: how commands reach the robot.
        policy: which of the policies of `write_policy`.
        options: further arguments of `course`.
    """

    mode: str
    transport: str
    policy: str = "cruise"
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """As the table shows it."""
        guard = ", guard inline" if ("inline", True) in self.options else ""
        return f"{self.mode}, {self.transport}{guard}"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One fault.

    Attributes:
        number: of the row in the table.
        fault: in words.
        expected: outcomes that are right.
        act: brings it about and tells what was seen.
        settings: arrangements in which it is tried.
        fresh: it needs new processes each time.
        timed: the bounds of time apply.
    """

    number: str
    fault: str
    expected: tuple[str, ...]
    act: Act
    settings: tuple[Setting, ...]
    fresh: bool = False
    timed: bool = True


VT = Setting("velocity", "trajectory")
VF = Setting("velocity", "forward_velocity")
PF = Setting("position", "forward_position")
VI = Setting("velocity", "forward_velocity", options=(("inline", True),))
BOTH = (VT, PF)


def arranged(*settings: Setting, **options: Any) -> tuple[Setting, ...]:
    """The settings with another policy and further arguments of `course`."""
    policy = options.pop("policy", "cruise")
    return tuple(dataclasses.replace(setting, policy=policy, options=(*setting.options, *options.items())) for setting in settings)


ALONE = arranged(*BOTH, alone=True)
_NAN = words.with_fields(position=lambda m: [float("nan")] * len(m.position), velocity=lambda m: [float("nan")] * len(m.velocity))

ROWS = (
    Row("1", "policy SIGKILL in motion", ("H→S",), killed("policy_node"), (*BOTH, VF), fresh=True),
    Row("2", "policy SIGKILL in the middle of a chunk", ("H→S",), killed("policy_node"), arranged(*BOTH, policy="chunks"), fresh=True),
    Row("3", "policy SIGKILL in the ramp", ("H→S",), acts.killed_in_ramp, arranged(*BOTH, policy="ramp"), fresh=True),
    Row("4", "policy SIGSTOP, SIGCONT after 0.15 s", ("H",), acts.frozen("policy_node", 0.15), BOTH),
    Row("5", "policy SIGSTOP, SIGCONT after 1 s", ("H→S",), acts.frozen("policy_node", 1.0), BOTH, fresh=True),
    Row("6", "one decision 0.12 s late", ("H",), acts.signalled("policy_node"), arranged(*BOTH, spoiled="late"), fresh=True),
    Row("7", "inference hangs", ("H→S",), acts.signalled("policy_node"), arranged(*BOTH, spoiled="hang"), fresh=True),
    Row("8", "exception in `act`", ("H→S",), acts.signalled("policy_node"), arranged(*BOTH, spoiled="raise"), fresh=True),
    Row("9", "action is NaN", ("H→S",), acts.signalled("policy_node"), arranged(*BOTH, spoiled="nan"), fresh=True),
    Row("9", "NaN on `guard/command`", ("H→S",), words.commanded(_NAN), ALONE),
    Row("10", "observation is NaN", ("H→S",), says("nan_velocity:=elbow_joint"), BOTH),
    Row("11", "command with an unknown joint", ("S",), words.commanded(words.with_fields(name=lambda m: ["elbow", *m.name[1:]])), ALONE),
    Row(
        "11",
        "command without a joint",
        ("S",),
        words.commanded(words.with_fields(name=lambda m: m.name[1:], position=lambda m: m.position[1:], velocity=lambda m: m.velocity[1:])),
        ALONE,
    ),
    Row("12", "command in the wrong field", ("S",), words.commanded(words.with_fields(effort=lambda m: [0.0] * len(m.name))), ALONE),
    Row("13", "command with the digest of another contract", ("S",), words.commanded(words.foreign), ALONE),
    Row("14", "command over velocity and acceleration", ("C",), words.beyond, ALONE, timed=False),
    Row("15", "command towards a position limit", ("C",), words.walled, arranged(*BOTH, policy="wall"), timed=False),
    Row("15", "command towards the workspace box", ("C",), words.boxed, arranged(*BOTH, policy="box"), timed=False),
    Row("16", "repeated and old sequence numbers", ("N",), words.repeated, ALONE, timed=False),
    Row("17", "commands at twice the rate", ("S",), words.too_fast, ALONE, timed=False),
    Row("18", "corrupt artifact", ("R",), words.corrupt, arranged(VT, policy="corrupt"), fresh=True, timed=False),
    Row("19", "contract of another robot", ("R",), words.other_robot, arranged(VT, robot="pendulum"), fresh=True, timed=False),
    Row("20", "/joint_states stops", ("S",), says("silent:=true"), BOTH),
    Row("22", "values frozen with fresh stamps", ("S",), says("freeze_values:=all"), BOTH, timed=False),
    Row("23", "stamps frozen", ("S",), says("stamp_rate:=0"), BOTH),
    Row("24", "stamps run backwards", ("H→S",), says("stamp_rate:=-1"), BOTH),
    Row("25", "stamps 0.2 s ahead, in motion", ("H→S",), says("stamp_offset:=0.2"), BOTH),
    Row("25", "stamps 0.2 s ahead, at start", ("R",), acts.says_at_start("stamp_offset:=0.2"), BOTH, timed=False),
    Row("26", "states 30 ms late", ("N",), says("state_delay:=0.03"), BOTH),
    Row("27", "states 0.2 s late, in motion", ("S",), says("state_delay:=0.2"), BOTH),
    Row("27", "states 0.2 s late, at start", ("R",), acts.says_at_start("state_delay:=0.2"), BOTH, timed=False),
    Row("28", "states up to half a period late, at random", ("N",), says("state_jitter:=0.025"), BOTH),
    Row("29", "30 % of the states lost", ("N",), says("state_drop:=0.3"), BOTH),
    Row("30", "all states of three periods lost", ("S",), says("state_drop_next:=15"), BOTH),
    Row("31", "joints reordered", ("N",), says("reorder:=true"), BOTH),
    Row("32", "a joint too many", ("N",), says("extra_joint:=gripper_joint"), BOTH),
    Row("33", "a joint missing, in motion", ("H→S",), says("missing_joint:=elbow_joint"), BOTH),
    Row("33", "a joint missing, at start", ("R",), acts.says_at_start("missing_joint:=elbow_joint"), BOTH, timed=False),
    Row("34", "NaN in a position", ("H→S",), says("nan_position:=elbow_joint"), BOTH),
    Row("35", "no velocities, at start", ("R",), acts.says_at_start("empty_velocity:=true"), BOTH, timed=False),
    Row("36", "degrees, at start", ("R",), acts.says_at_start("degrees:=true"), BOTH, timed=False),
    Row("37", "a position jumps by 1 rad", ("S",), says("position_offset:=elbow_joint=1.0"), BOTH),
    Row("38", "dead motor", ("S",), says("dead_motor:=elbow_joint"), BOTH, timed=False),
    Row("39", "runaway at 1.5 rad/s", ("X",), says("runaway:=elbow_joint=1.5", seconds=2.5), BOTH, timed=False),
    Row(
        "40",
        "limit cycle of a wrist, commands swing by 8 rad/s at 9.5 Hz",
        ("S", "X"),
        says("limit_cycle:=wrist_1_joint=8", "limit_cycle_frequency:=9.5", seconds=3.0),
        BOTH,
        timed=False,
    ),
    Row("41", "protective stop, in motion", ("S",), says("protective_stop:=true"), BOTH),
    Row("41", "protective stop, at start", ("R",), acts.says_at_start("protective_stop:=true"), BOTH, timed=False),
    Row("42", "speed scaling 50 %, in motion", ("S",), says("speed_scaling:=0.5"), BOTH),
    Row("42", "speed scaling 50 %, at start", ("R",), acts.says_at_start("speed_scaling:=0.5"), BOTH, timed=False),
    Row("43", "the program resumes", ("no command",), acts.resumes, BOTH, timed=False),
    Row("44", "nobody listens to commands, at start", ("R",), acts.says_at_start("no_subscriber:=true"), BOTH, timed=False),
    Row("44", "nobody listens to commands, in motion", ("S",), says("no_subscriber:=true", seconds=2.0), BOTH, timed=False),
    Row("44", "nobody listens to commands, in motion", ("S",), says("no_subscriber:=true", seconds=2.0), (VI,), timed=False),
    Row("45", "QoS of the command topic does not match, at start", ("R",), acts.says_at_start("command_qos:=true"), BOTH, timed=False),
    Row("45", "QoS of the command topic does not match, in motion", ("S",), says("command_qos:=true", seconds=2.0), BOTH, timed=False),
    Row("46", "guard SIGKILL, trajectory", ("stands",), lambda run: acts.left_alone(run, "guard_node"), (VT,), fresh=True),
    Row(
        "47", "guard SIGKILL, forward_position", ("stands",), lambda run: acts.left_alone(run, "guard_node"), (PF,), fresh=True, timed=False
    ),
    Row(
        "48",
        "guard SIGKILL, forward_velocity",
        ("stop services",),
        lambda run: acts.left_alone(run, "guard_node"),
        (VF,),
        fresh=True,
        timed=False,
    ),
    Row("49", "guard SIGSTOP, SIGCONT after 1 s", ("S", "X"), acts.frozen("guard_node", 1.0), (VT, PF, VF), fresh=True, timed=False),
    Row(
        "50",
        "guard and policy SIGKILL, trajectory",
        ("stands",),
        lambda run: acts.left_alone(run, "guard_node", "policy_node"),
        (VT,),
        fresh=True,
    ),
    Row(
        "50",
        "guard and policy SIGKILL, forward_position",
        ("stands",),
        lambda run: acts.left_alone(run, "guard_node", "policy_node"),
        (PF,),
        fresh=True,
        timed=False,
    ),
    Row(
        "50",
        "guard and policy SIGKILL, forward_velocity",
        ("moves on",),
        lambda run: acts.left_alone(run, "guard_node", "policy_node"),
        (VF,),
        fresh=True,
        timed=False,
    ),
    Row("51", "guard restarts", ("unarmed",), acts.guard_restarts, (VT,), fresh=True, timed=False),
    Row("52", "policy streams while unarmed", ("nothing published",), words.unarmed, ALONE, timed=False),
    Row("53", "second publisher before arming", ("R",), words.intruder_before, BOTH, timed=False),
    Row("54", "second publisher in motion", ("X",), words.intruder_in_motion, BOTH),
    Row("55", "`guard/stop`", ("S",), words.service("guard/stop"), BOTH),
    Row("56", "`emergency_stop` true", ("S",), words.emergency, BOTH),
    Row("58", "reset with the cause present", ("R",), words.reset_too_early, BOTH, timed=False),
    Row("59", "arm while moving", ("R",), words.arm_in_motion, BOTH, timed=False),
    Row("60", "start 0.7 rad from the start pose", ("R",), words.start_refused, arranged(*BOTH, policy="far"), timed=False),
    Row("61", "input missing", ("R",), words.start_refused, arranged(*BOTH, policy="goal"), timed=False),
    Row("61", "input out of range, in another frame", ("R",), words.bad_input, arranged(*BOTH, policy="goal"), timed=False),
    Row("70", "SIGINT twice to the policy", ("braked, exit 0",), acts.interrupted("policy_node"), BOTH, fresh=True, timed=False),
    Row("70", "SIGINT twice to the guard", ("braked, exit 0",), acts.interrupted("guard_node"), BOTH, fresh=True, timed=False),
    Row(
        "71",
        "SIGINT twice to all processes",
        ("braked, exit 0",),
        acts.interrupted("policy_node", "guard_node", "sim_node"),
        BOTH,
        fresh=True,
        timed=False,
    ),
    Row("72", "processors starved for 10 s", ("N", "H", "S", "H→S"), acts.starved, BOTH, timed=False),
    Row("73", "a limit parameter is changed at run time", ("R",), words.runtime_limit, (VT,), timed=False),
)

NOTES = {
    "3": "in one run, on an overloaded computer (load 5), the ramp was not seen within 10 s; cause not found",
    "8": "the joint state was late in the same moment, by 85 ms: the computer was overloaded (load 5)",
    "24": "a hold that is shorter than a period of `guard/status` is not always seen",
    "40": "in position mode a swing of 9.5 Hz hides between the samples of 20 Hz that the guard judges; the joint states tell it: a hold "
    "first, a period later a stop",
    "44": "a guard inside the policy's node looks for a listener before arming only",
    "62": "once the guard holds, `policy/status` repeats the guard's words, and a status every 100 ms can miss the camera's before that",
    "63": "as 62",
    "65": "a step forward that clock and stamps make together is not seen as one; with `stamp_check:=relative` the offset is measured at activation, "
    "and a later step of the robot's clock is a fault",
    "68": "a command was late just before the end of the run, for another reason than the recorder",
    "72": "the policy counts three answers of the guard that do not come in time, and then ends external control",
}
