"""Rows of the fault table about what only looks on: cameras that show nothing new, a recorder that dies or has no room."""

from __future__ import annotations

import dataclasses
import signal

from diagnostic_msgs.msg import DiagnosticArray
from fault_acts import Act, kill
from fault_course import Course, Seen
from fault_rows import BOTH, Row, arranged
from fault_words import armed_start

__all__ = ["SIGHT_ROWS"]

SEEING = arranged(*BOTH, policy="seeing", simulator=(("camera_rate", 20.0),), camera_timeout=0.3)


def blinded(fault: str) -> Act:
    """A camera fails in motion; why the policy asks for nothing any more is the policy's to say, not the guard's."""

    def act(run: Course) -> Seen:
        run.cruise()
        withheld: list[str] = []

        def note(message: DiagnosticArray) -> None:
            withheld.extend(pair.value for status in message.status for pair in status.values if pair.key == "withheld" and pair.value)

        heard = run.link._node.create_subscription(DiagnosticArray, "policy/status", note, 10)
        seen = run.after(lambda: run.fault(fault), 2.0)
        run.link._node.destroy_subscription(heard)
        named = [cause for cause in withheld if "/wrist/image_raw" in cause]
        seen.note = named[0] if named else f"the camera is not named, but {withheld[:1]}"
        return seen if named else dataclasses.replace(seen, outcome=f"{seen.outcome}, no cause")

    return act


def blind_at_start(fault: str) -> Act:
    """The same before `policy/start`; the guard, which sees no pictures, is armed and keeps the robot at rest."""

    def act(run: Course) -> Seen:
        run.home()
        run.fault(fault)
        run.link.spin(0.4)
        seen = armed_start(run)
        run.fault()
        return seen

    return act


def recorder_ends(number: int) -> Act:
    """The recorder's process gets a signal while it records motion."""

    def act(run: Course) -> Seen:
        recorder = run.nodes["record_node"]
        run.link.until(lambda: "recording " in recorder.log, 10, "no recording")
        run.cruise()
        return run.after(lambda: kill(run, "record_node") if number == signal.SIGKILL else recorder.send(number))

    return act


def disk_fills(run: Course) -> Seen:
    """Motion goes on while the recorder's disk fills up; the recorder must say so."""
    recorder = run.nodes["record_node"]
    run.link.until(lambda: "recording " in recorder.log, 10, "no recording")
    warnings: list[str] = []

    def note(message: DiagnosticArray) -> None:
        warnings.extend(status.message for status in message.status if status.name.endswith(": recording") and status.level != b"\x00")

    heard = run.link._node.create_subscription(DiagnosticArray, "/diagnostics", note, 10)
    run.begin()
    seen = run.after(lambda: run.link.until(lambda: warnings, 20, "the disk does not fill up"), 1.0)
    run.link._node.destroy_subscription(heard)
    seen.note = warnings[0]
    return seen


SIGHT_ROWS = (
    Row("62", "the camera shows one picture, with new stamps", ("H→S",), blinded("freeze_images:=true"), SEEING, timed=False),
    Row("63", "no pictures", ("H→S",), blinded("silent_cameras:=true"), SEEING, timed=False),
    Row("64", "pictures of half the size, at start", ("R",), blind_at_start("image_scale:=0.5"), SEEING, timed=False),
    Row("64", "pictures in another encoding, at start", ("R",), blind_at_start("image_bgr:=true"), SEEING, timed=False),
    Row("68", "recorder SIGKILL", ("N",), recorder_ends(signal.SIGKILL), arranged(*BOTH, recorder="roomy"), fresh=True),
    Row("68", "recorder SIGSTOP", ("N",), recorder_ends(signal.SIGSTOP), arranged(*BOTH, recorder="roomy"), fresh=True),
    Row("69", "the recorder's disk is full", ("N",), disk_fills, arranged(*BOTH, recorder="small"), fresh=True),
)
