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
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} threads", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.seeds or arguments.episodes:
            same = not arguments.seeds or pair_stepped(range(arguments.seeds), Path(folder))
            if arguments.episodes:
                pair_wall(range(arguments.episodes), Path(folder))
            return 0 if same else 1
        if arguments.soak:
            soak(arguments.soak, Path(folder))
        else:
            print(f"{'what':62} {'here':>12} {'bare':>12} {'ratio':>7} {'target':>14}")
            overhead(arguments.rounds, arguments.seconds, Path(folder))
    print(f"load {os.getloadavg()[0]:.2f}")
    return 0


def overhead(rounds: int, seconds: float, folder: Path) -> None:
    """The whole table: round trips in turns, then runs in wall-clock time."""
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
    deadlines("policy_node with guard_node", kept, 100)
    kept = run(0.005, seconds, folder)
    deadlines("policy_node with guard_node", kept, 200)
    show("  p99 of lateness", lateness(kept.own), lateness(kept.bare), None, "< 1 ms idle")


def soak(seconds: float, folder: Path) -> None:
    """Policy, guard and robot at 100 Hz for a long time."""
    kept = run(0.01, seconds, folder, progress=True)
    print(f"{'node':20} {'start':>10} {'half':>10} {'end':>10} {'growth, 2nd half':>17}")
    for name, (start, half, end) in kept.memory.items():
        print(f"{name:20} {start:>7.1f} MB {half:>7.1f} MB {end:>7.1f} MB {end - half:>14.2f} MB")
    print(f"{'what':62} {'here':>12} {'bare':>12} {'ratio':>7} {'target':>14}")
    deadlines("policy_node with guard_node", kept, 100)
    show("  p99 of lateness", lateness(kept.own), lateness(kept.bare))


def deadlines(what: str, kept: Kept, rate: int) -> None:
    """Missed ones of the node and of the bare loop beside it; with a load below 0.5 there must be none."""
    target = "0" if kept.load < 0.5 else f"≤ {kept.bare['missed'] + kept.own['steps'] / 1e4:.1f}"
    own, bare = (f"{summary['missed']}/{summary['steps']}" for summary in (kept.own, kept.bare))
    show(f"{what}: deadlines missed at {rate} Hz", own, bare, None, target)
    longest = kept.bare["lateness_ms"]["max"]
    if kept.stops:
        show("  stops of the guard, each started again", str(len(kept.stops)), f"{longest:.0f} ms late")
    show(f"  load before {kept.load:.2f}; CPU: " + ", ".join(f"{name} {share:.1f} %" for name, share in kept.cpu.items()))


def show(what: str, here: str = "", bare: str = "", ratio: float | None = None, target: str = "") -> None:
    """One line."""
    print(f"{what:62} {here:>12} {bare:>12} {'' if ratio is None else f'{ratio:.2f}':>7} {target:>14}".rstrip(), flush=True)


def ms(seconds: float) -> str:
    """In milliseconds."""
    return f"{seconds * 1e3:.3f} ms"


def lateness(summary: dict[str, dict[str, float]]) -> str:
    """99th percentile."""
    return f"{summary['lateness_ms']['p99']:.3f} ms"


if __name__ == "__main__":
    sys.exit(main())
