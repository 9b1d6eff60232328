"""What the ROS nodes cost over bare rclpy, and how well they keep time, in one run on one machine.

Overhead is measured twice, against a bare node that answers a joint state with a command at once (the floor: two hops of rclpy and DDS).

* From outside, with `clock:=stepped`, where the policy node answers each state on arrival: time from publishing the state to receiving the command,
  less the median inference. The floor, and policy and guard as two processes, which have one hop more, take turns at 100 Hz.
* In wall-clock time the node does not act on arrival: it samples the newest state at its own tick, and the wait for that tick is no overhead. So
  it is the floor plus the policy node's own time from tick to published command, less inference: an upper bound, as both contain a node's publishing.

Deadlines are kept by real nodes with a simulated robot, next to a bare absolute-deadline loop that runs at the same time as a process of its own.
A missed deadline is a command published later than one period; lateness is that of the wake-up. The load is printed, because it matters.

python benchmarks/ros.py [--seconds 60]      the table
python benchmarks/ros.py --soak 600          ten minutes at 100 Hz: memory of each node, deadlines
python benchmarks/ros.py --seeds 100         reach through policy and guard as processes, in stepped time: bit-identical to one process?
python benchmarks/ros.py --episodes 20       the same in wall-clock time, paired with one process
With --record FILE, what is printed as a table is kept there, too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from ros_chain import chain
from ros_pairs import pair_stepped, pair_wall
from ros_run import Kept, run, swinging

from isthmus_evidence.results import Results

HOPS = 3  # from state to policy, to guard, to robot; the floor's round trip has two
TURN = 50  # round trips


def main() -> int:
    """Print the table, or what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run in wall-clock time")
    parser.add_argument("--rounds", type=int, default=10, help=f"turns of {TURN} round trips of each chain")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="only run policy and guard at 100 Hz for so long")
    parser.add_argument("--seeds", type=int, metavar="N", help="only compare N stepped episodes bit for bit")
    parser.add_argument("--episodes", type=int, metavar="N", help="only compare N episodes in wall-clock time")
    parser.add_argument("--record", type=Path, metavar="FILE", help="file of figures that keeps the lines of the table")
    arguments = parser.parse_args()
    sheet = Sheet(arguments.record)
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} threads", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.seeds or arguments.episodes:
            same = not arguments.seeds or pair_stepped(range(arguments.seeds), Path(folder), sheet.show)
            if arguments.episodes:
                pair_wall(range(arguments.episodes), Path(folder), sheet.show)
            return 0 if same else 1
        if arguments.soak:
            soak(arguments.soak, Path(folder), sheet)
        else:
            overhead(arguments.rounds, arguments.seconds, Path(folder), sheet)
    print(f"load {os.getloadavg()[0]:.2f}")
    return 0


class Sheet:
    """The lines of a table, printed as they are known, and kept in a file of figures."""

    def __init__(self, file: Path | None) -> None:
        self._results = Results(file) if file else None
        self._headed = False

    def show(self, what: str, here: str = "", bare: str = "", ratio: float | None = None, target: str = "") -> None:
        """One line."""
        if not self._headed:
            self._headed = True
            print(f"{'what':62} {'here':>12} {'bare':>12} {'ratio':>7} {'target':>14}")
        print(f"{what:62} {here:>12} {bare:>12} {'' if ratio is None else f'{ratio:.2f}':>7} {target:>14}".rstrip(), flush=True)
        if self._results:
            row = {"what": what, "here": here, "bare": bare, "ratio": ratio, "target": target, "load": round(os.getloadavg()[0], 2)}
            self._results.add(what, row, ["ros", "speed"])


def overhead(rounds: int, seconds: float, folder: Path, sheet: Sheet) -> None:
    """The whole table: round trips in turns, then runs in wall-clock time."""
    show = sheet.show
    policy = swinging(0.01, folder)
    with contextlib.ExitStack() as stack:
        chains = {kind: stack.enter_context(chain(kind, policy, 0.01)) for kind in ("bare", "guarded")}
        for each in chains.values():
            each.start()
        for each in chains.values():
            each.turn(TURN)  # warm
            each.times.clear()
        for _ in range(rounds):
            for each in chains.values():
                each.turn(TURN)
        medians = {kind: float(np.median(each.times)) for kind, each in chains.items()}
        tails = {kind: float(np.percentile(each.times, 99)) for kind, each in chains.items()}
        floor, thinking = medians["bare"] * HOPS / 2, chains["guarded"].inference
        guarded = medians["guarded"] - thinking
        show("policy and guard, state in → command out, without inference", ms(guarded), ms(floor), guarded / floor, "≤ 1.3")
        show("  the same, 99th percentile, inference included", ms(tails["guarded"]), ms(tails["bare"] * HOPS / 2))
        show("  inference", ms(thinking))
        if lost := sum(each.lost for each in chains.values()):
            show("  states published again because no answer came", str(lost))
    floor = medians["bare"]
    kept = run(0.01, seconds, folder)
    work = (kept.own["work_ms"]["p50"] - kept.own["inference_ms"]["p50"]) / 1e3
    show("policy_node at its own tick: floor + tick to publish", ms(floor + work), ms(floor), (floor + work) / floor, "≤ 1.3")
    deadlines(f"{seconds:g} s", kept, 100, sheet)
    kept = run(0.005, seconds, folder)
    deadlines(f"{seconds:g} s", kept, 200, sheet)


def soak(seconds: float, folder: Path, sheet: Sheet) -> None:
    """Policy, guard and robot at 100 Hz for a long time."""
    kept = run(0.01, seconds, folder, progress=True)
    for name, (start, half, end) in kept.memory.items():
        sheet.show(f"{seconds:g} s, {name}: memory at start, half time, end", f"{start:.1f}, {half:.1f}, {end:.1f} MB", target="no growth")
    deadlines(f"{seconds:g} s", kept, 100, sheet)


def deadlines(what: str, kept: Kept, rate: int, sheet: Sheet) -> None:
    """Missed ones of the policy node and of the bare loop beside it, of which a machine that stood still is the cause; CPU of all."""
    own, bare = (f"{summary['missed']} of {summary['steps']}" for summary in (kept.own, kept.bare))
    what = f"{what} at {rate} Hz"
    sheet.show(f"{what}: missed deadlines", own, bare, None, f"≤ {kept.bare['missed'] + kept.own['steps'] / 1e4:.1f}")
    shares = [summary["lateness_ms"]["p99"] for summary in (kept.own, kept.bare)]
    sheet.show(f"{what}: p99 of lateness", f"{shares[0]:.3f} ms", f"{shares[1]:.3f} ms", shares[0] / shares[1], "≤ 1.2")
    longest = kept.bare["lateness_ms"]["max"]
    sheet.show(f"{what}: stops of the guard, each started again", str(len(kept.stops)), f"{longest:.0f} ms late")
    for name, share in kept.cpu.items():
        sheet.show(f"{what}, {name}: CPU", f"{share:.1f} %")


def ms(seconds: float) -> str:
    """In milliseconds."""
    return f"{seconds * 1e3:.3f} ms"


if __name__ == "__main__":
    sys.exit(main())
