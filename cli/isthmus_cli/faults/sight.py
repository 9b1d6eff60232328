"""Faults of what only looks on: cameras that show nothing new, a recorder that dies or has no room."""

from __future__ import annotations

import dataclasses
import signal

from isthmus_cli.faults.acts import Act
from isthmus_cli.faults.course import Course
from isthmus_cli.faults.seen import Seen
from isthmus_cli.faults.words import armed_start

__all__ = ["blind_at_start", "blinded", "disk_fills", "recorder_ends"]


def blinded(fault: str) -> Act:
    """A camera fails in motion; why the policy asks for nothing any more is the policy's to say, not the guard's."""

    def act(run: Course) -> Seen:
        run.cruise()
        withheld: list[str] = []
        with run.witness.hearing("/policy/status", lambda values: withheld.append(values.get("withheld", ""))):
            seen = run.after(lambda: run.fault(fault), 2.0)
        withheld = [cause for cause in withheld if cause]
        named = [cause for cause in withheld if run.subject.robot.cameras[0].name in cause]
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


def recorder_ends(number: signal.Signals) -> Act:
    """The recorder's process gets a signal while it records motion."""

    def act(run: Course) -> Seen:
        recorder = run.nodes["record_node"]
        run.link.until(lambda: "recording " in recorder.log, 10, "no recording")
        run.cruise()
        return run.after(lambda: run.kill("record_node") if number == signal.SIGKILL else recorder.send(number))

    return act


def disk_fills(run: Course) -> Seen:
    """Motion goes on while the recorder's disk fills up; the recorder must say so."""
    recorder = run.nodes["record_node"]
    run.link.until(lambda: "recording " in recorder.log, 10, "no recording")
    warnings: list[str] = []

    def note(values: dict[str, str]) -> None:
        if "written" in values and values["message"] != "recording":
            warnings.append(values["message"])

    with run.witness.hearing("/diagnostics", note):
        run.cruise()
        seen = run.after(lambda: run.link.until(lambda: bool(warnings), 20, "the disk does not fill up"), 1.0)
    seen.note = warnings[0]
    return seen
