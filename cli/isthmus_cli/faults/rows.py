"""The rows of the fault table: what is done to which processes, and what must come of it.

Letters: N no effect, C clamped, R refused and nothing commanded, H braked and held, S braked and latched, X as S and the driver's stop services
called. What must come of it is asked as the specification asks it; a row that comes out otherwise says so in the table.
"""

from __future__ import annotations

import dataclasses
import signal

from isthmus_cli.faults import acts, clocks, sight, words
from isthmus_cli.faults.acts import Act
from isthmus_cli.faults.subject import Setting, Subject, arranged

__all__ = ["ALONE", "ARMS", "BOTH", "NOTES", "PF", "PT", "ROWS", "VF", "VT", "Row"]


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
        needs: what the robot's driver must say for it, `speed_scaling` or `program_running` of the profile.
    """

    number: str
    fault: str
    expected: tuple[str, ...]
    act: Act
    settings: tuple[Setting, ...]
    fresh: bool = False
    timed: bool = True
    needs: str = ""

    def asked_of(self, subject: Subject) -> Row:
        """The row for a robot: in no setting where its driver does not say what it needs; where that has no stop services, X is S."""
        ros, expected = subject.robot.ros, self.expected
        if not (ros and ros.stop_services):
            expected = tuple(dict.fromkeys("S" if outcome == "X" else outcome for outcome in expected))
        settings = self.settings if not self.needs or getattr(ros, self.needs, None) else ()
        return dataclasses.replace(self, expected=expected, settings=settings)


VT = Setting("velocity", "trajectory")
PT = Setting("position", "trajectory")
VF = Setting("velocity", "forward_velocity")
PF = Setting("position", "forward_position")
TW = Setting("twist", "cmd_vel", period=0.1)
FAST = Setting("velocity", "trajectory", period=0.01)
FULL = Setting("velocity", "trajectory", full=True)
ARMS = (VT, PT, PF)
BOTH = (*ARMS, TW)
MOVING = (*BOTH, FAST, FULL)
ALONE = arranged(*BOTH, alone=True)
UNHEARD = arranged(*BOTH, unheard=True)
SIM_TIME = arranged(*BOTH, use_sim_time=True)
REQUIRED = arranged(*BOTH, estop_required=("isthmus_witness",))
SEEING = arranged(*BOTH, policy="seeing", simulator=(("camera_rate", 20.0),), camera_timeout=0.3)
_NAN = words.with_fields(position=lambda m: [float("nan")] * len(m.position), velocity=lambda m: [float("nan")] * len(m.velocity))

ROWS = (
    Row("1", "policy SIGKILL in motion", ("H→S",), acts.killed("policy_node"), (*MOVING, VF), fresh=True),
    Row("2", "policy SIGKILL in the middle of a chunk", ("H→S",), acts.killed("policy_node"), arranged(*BOTH, policy="chunks"), fresh=True),
    Row("3", "policy SIGKILL in the ramp", ("H→S",), acts.killed_in_ramp, arranged(*BOTH, policy="ramp"), fresh=True),
    Row("4", "policy SIGSTOP, SIGCONT after 0.15 s", ("H",), acts.frozen("policy_node", 0.15), BOTH),
    Row("5", "policy SIGSTOP, SIGCONT after 1 s", ("H→S",), acts.frozen("policy_node", 1.0), BOTH, fresh=True),
    Row("6", "one decision 0.12 s late", ("H",), acts.signalled("policy_node"), arranged(*BOTH, spoiled="late"), fresh=True),
    Row("7", "inference hangs", ("H→S",), acts.signalled("policy_node"), arranged(*BOTH, spoiled="hang"), fresh=True),
    Row("8", "exception in `act`", ("H→S",), acts.signalled("policy_node"), arranged(*BOTH, spoiled="raise"), fresh=True),
    Row("9", "action is NaN", ("H→S",), acts.signalled("policy_node"), arranged(*BOTH, spoiled="nan"), fresh=True),
    Row("9", "NaN on `guard/command`", ("H→S",), words.commanded(_NAN), ALONE),
    Row("10", "observation is NaN", ("H→S",), acts.says("nan_velocity:={told}"), BOTH),
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
    Row("15", "command towards a position limit", ("C",), words.walled, arranged(*ARMS, policy="wall"), timed=False),
    Row("15", "command towards the workspace box", ("C",), words.boxed, arranged(*BOTH, policy="box"), timed=False),
    Row("16", "repeated and old sequence numbers", ("N",), words.repeated, ALONE, timed=False),
    Row("17", "commands at twice the rate", ("S",), words.too_fast, ALONE, timed=False),
    Row("18", "corrupt artifact", ("R",), words.not_brought_up, arranged(VT, policy="corrupt"), fresh=True, timed=False),
    Row("19", "contract of another robot", ("R",), words.not_brought_up, arranged(VT, robot="pendulum"), fresh=True, timed=False),
    Row("20", "/joint_states stops", ("S",), acts.says("silent:=true"), BOTH),
    Row("22", "values frozen with fresh stamps", ("S",), acts.says("freeze_values:=all"), BOTH, timed=False),
    Row("23", "stamps frozen", ("S",), acts.says("stamp_rate:=0"), BOTH),
    Row("24", "stamps run backwards", ("H→S",), acts.says("stamp_rate:=-1"), BOTH),
    Row("25", "stamps 0.2 s ahead, in motion", ("H→S",), acts.says("stamp_offset:=0.2"), BOTH),
    Row("25", "stamps 0.2 s ahead, at start", ("R",), acts.says_at_start("stamp_offset:=0.2"), BOTH, timed=False),
    Row("26", "states 30 ms late", ("N",), acts.says("state_delay:=0.03"), BOTH),
    Row("27", "states 0.2 s late, in motion", ("S",), acts.says("state_delay:=0.2"), BOTH),
    Row("27", "states 0.2 s late, at start", ("R",), acts.says_at_start("state_delay:=0.2"), BOTH, timed=False),
    Row("28", "states up to half a period late, at random", ("N",), acts.says("state_jitter:=0.025"), BOTH),
    Row("29", "30 % of the states lost", ("N",), acts.says("state_drop:=0.3"), BOTH),
    Row("30", "all states of three periods lost", ("S",), acts.says("state_drop_next:=15"), BOTH),
    Row("31", "joints reordered", ("N",), acts.says("reorder:=true"), BOTH),
    Row("32", "a joint too many", ("N",), acts.says("extra_joint:=gripper_joint"), BOTH),
    Row("33", "a joint missing, in motion", ("S",), acts.says("missing_joint:={told}"), BOTH),
    Row("33", "a joint missing, at start", ("R",), acts.says_at_start("missing_joint:={told}"), BOTH, timed=False),
    Row("34", "NaN in a position", ("H→S",), acts.says("nan_position:={told}"), BOTH),
    Row("35", "no velocities, at start", ("R",), acts.says_at_start("empty_velocity:=true"), BOTH, timed=False),
    Row("36", "degrees, at start", ("R",), acts.says_at_start("degrees:=true"), ARMS, timed=False),
    Row("37", "a position jumps by 1 rad", ("S",), acts.says("position_offset:={middle}=1.0"), ARMS),
    Row("38", "dead motor", ("S",), acts.says("dead_motor:={middle}", seconds=4.0), BOTH, timed=False),
    Row("39", "runaway at 1.5 rad/s", ("X",), acts.says("runaway:={middle}=1.5", seconds=2.5), BOTH, timed=False),
    Row(
        "40",
        "limit cycle of a wrist, commands swing by 8 rad/s at 9.5 Hz",
        ("S",),
        acts.says("limit_cycle:={wrist}=8", "limit_cycle_frequency:=9.5", seconds=3.0, driven=True),
        ARMS,
        timed=False,
    ),
    Row("41", "protective stop, in motion", ("S",), acts.says("protective_stop:=true"), BOTH, needs="program_running"),
    Row("41", "protective stop, at start", ("R",), acts.says_at_start("protective_stop:=true"), BOTH, timed=False, needs="program_running"),
    Row("42", "speed scaling 50 %, in motion", ("S",), acts.says("speed_scaling:=0.5"), BOTH, needs="speed_scaling"),
    Row("42", "speed scaling 50 %, at start", ("R",), acts.says_at_start("speed_scaling:=0.5"), BOTH, timed=False, needs="speed_scaling"),
    Row("43", "the program resumes", ("no command",), acts.resumes, BOTH, timed=False, needs="program_running"),
    Row("44", "nobody listens to commands, at start", ("R",), acts.says_at_start("no_subscriber:=true"), UNHEARD, timed=False),
    Row("44", "nobody listens to commands, in motion", ("S",), acts.says("no_subscriber:=true", seconds=2.0), UNHEARD, timed=False),
    Row("45", "QoS of the command topic does not match, at start", ("R",), acts.says_at_start("command_qos:=true"), UNHEARD, timed=False),
    Row(
        "45",
        "QoS of the command topic does not match, in motion",
        ("S",),
        acts.says("command_qos:=true", seconds=2.0),
        UNHEARD,
        timed=False,
    ),
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
    Row("49", "guard SIGSTOP, SIGCONT after 1 s", ("X",), acts.frozen("guard_node", 1.0), (VT, PF, VF), fresh=True, timed=False),
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
    Row("72", "processors starved for 10 s", ("N", "C", "H", "S", "H→S"), acts.starved, BOTH, timed=False),
    Row("73", "a limit parameter is changed at run time", ("R",), words.runtime_limit, (VT,), timed=False),
    Row("21", "the robot's process is killed", ("S",), clocks.robot_lost(signal.SIGKILL), BOTH, fresh=True),
    Row("21", "the robot's process is suspended", ("S",), clocks.robot_lost(signal.SIGSTOP), BOTH, fresh=True),
    Row("57", "publisher of `emergency_stop` lost, required", ("S",), clocks.heartbeat_lost, REQUIRED, fresh=True, timed=False),
    Row("57", "publisher of `emergency_stop` missing, required, at start", ("R",), clocks.never_heard, REQUIRED, fresh=True, timed=False),
    Row("65", "the clock of robot and nodes steps by +10 s", ("H",), clocks.clock_steps(10), SIM_TIME, fresh=True),
    Row("65", "the clock of robot and nodes steps by -10 s", ("H",), clocks.clock_steps(-10), SIM_TIME, fresh=True),
    Row(
        "65",
        "the robot's clock steps by +10 s, stamps checked relatively",
        ("N",),
        acts.says("stamp_offset:=10"),
        arranged(VT, stamp_check="relative"),
        fresh=True,
        timed=False,
    ),
    Row("66", "/clock stops, and the policy is suspended", ("S", "H→S"), clocks.clock_stops, SIM_TIME, fresh=True),
    Row("67", "/clock runs backwards, stamps too", ("S", "H→S"), acts.says("clock_rate:=-1", "stamp_rate:=-1"), SIM_TIME, fresh=True),
    Row("67", "/clock runs backwards, stamps do not", ("S", "H→S"), acts.says("clock_rate:=-1"), SIM_TIME, fresh=True),
    Row("62", "the camera shows one picture, with new stamps", ("H→S",), sight.blinded("freeze_images:=true"), SEEING, timed=False),
    Row("63", "no pictures", ("H→S",), sight.blinded("silent_cameras:=true"), SEEING, timed=False),
    Row("64", "pictures of half the size, at start", ("R",), sight.blind_at_start("image_scale:=0.5"), SEEING, timed=False),
    Row("64", "pictures in another encoding, at start", ("R",), sight.blind_at_start("image_bgr:=true"), SEEING, timed=False),
    Row("68", "recorder SIGKILL", ("N",), sight.recorder_ends(signal.SIGKILL), arranged(*BOTH, recorder="roomy"), fresh=True),
    Row("68", "recorder SIGSTOP", ("N",), sight.recorder_ends(signal.SIGSTOP), arranged(*BOTH, recorder="roomy"), fresh=True),
    Row("69", "the recorder's disk is full", ("N",), sight.disk_fills, arranged(*BOTH, recorder="small"), fresh=True),
)

NOTES = {
    "14": "at full speed the simulated servo overshoots what it is told; on `forward_position` nothing interpolates, and it jumps to each set-point "
    "faster than the limit: a driver for that transport must smooth set-points itself, or be commanded at its own rate",
    "15": "until 0e2fa5f the tool could come to rest up to 37 mm outside the box where commands to `trajectory` jitter; what is shown of "
    "velocities is of later commits",
    "17": "surplus commands are dropped, and the stop comes after a second of them; where, on a busy machine, the command that counts is late too, "
    "a hold comes before the stop",
    "24": "a hold that is shorter than a period of `guard/status` is not always seen",
    "33": "was to be H→S before joint states could come from several publishers; now every joint has an age of its own, and one that is "
    "no longer named is as stale as a silent robot, which is a stop without a hold before it",
    "84": "measured on `pendulum`, whose profile says that its driver holds it by itself (`ros: effort_holds`); that of no shipped arm does",
    "85": "a sender of set-points that goes on as if nothing had been late asks for the lost time to be made up, which at full speed is more than "
    "the limit: C; a guard that is frozen for 0.19 s leaves three commands of the policy unanswered, which takes it for dead and calls the stop "
    "services: X",
    "26": "on a busy machine a state that is 30 ms late can be one that is too old, which is a stop; likewise in 68",
    "86": "states that a busy machine delivers later still are too old, which is a stop",
    "49": "was to be S; the policy takes an armed guard that is silent for 0.25 s for dead, and calls the stop services",
    "65": "a step forward that clock and stamps make together is not seen as one; with `stamp_check:=relative` the offset is measured at activation, "
    "and a later step of the robot's clock is a fault; odometry that comes once in a control period is wrong for a whole one, which is a stop as "
    "in 81",
    "67": "was to be S; a stamp that runs backwards is held for one control period before it is a stop, as in 24",
    "72": "on a machine that copes commands only come unevenly, and are clamped or held",
}
