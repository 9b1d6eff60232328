"""Real processes, driven through lifecycle sequences that are drawn at random, and a witness of every motion of the simulated robot.

    python tests/ros/lifecycle_course.py --seeds 200 --record docs/results/lifecycle.json

No motion without `guard/arm` and `policy/start`, in that order, after the last stop. Prints one line per sequence and exits with 1 if there was one.
A file of figures goes on where it was interrupted.
"""

import argparse
import contextlib
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile
from ros_policies import resolved_rate
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from isthmus_evidence.results import Results
from isthmus_ros.common import wire
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated
from isthmus_sim.episodes import episode_start
from isthmus_sim.tasks import get_task

AT_REST = 0.05  # rad/s
BRAKED = 1.5  # s in which a motion that is over must have come to rest
STEPS = 14


class Lifecycle:
    """Three processes, buttons, and what may be expected of them."""

    def __init__(self, policy, goal, environment, domain, log):
        self.environment, self.log, self.goal = environment, log, goal
        self.parameters = {
            "sim_node": {"task": "reach", "clock": "wall"},
            "guard_node": {"policy": policy, "transport": "trajectory"},
            "policy_node": {"policy": policy},
        }
        self.parameters["sim_node"]["transport"] = "trajectory"
        self.nodes = {}
        for name in self.parameters:
            self.begin(name)
        self.link = Link("/joint_states", domain, [])
        self.link._node.create_subscription(JointState, "/sim_node/truth", self.see, QoSProfile(depth=2000))
        self.buttons = [self.link._node.create_publisher(Bool, "emergency_stop", wire.LATCHED) for _ in range(2)]
        self.pressed = set()
        self.armed = self.started = False
        self.over = time.monotonic()  # when the last motion that was allowed came to its end
        self.found = []

    def begin(self, name):
        self.nodes[name] = NodeProcess(name, self.parameters[name], self.environment)

    def see(self, message):
        speed = max(map(abs, message.velocity), default=0.0)
        if speed > AT_REST and not self.started and time.monotonic() - self.over > BRAKED:
            self.found.append(f"{speed:.2f} rad/s {time.monotonic() - self.over:.1f} s after the end of the last motion")

    def end_motion(self, *, armed):
        if self.started:
            self.over = time.monotonic()
        self.started, self.armed = False, self.armed and armed

    def call(self, action):
        with contextlib.suppress(RosError):
            action()
            return True
        return False

    def transition(self, name, number):
        if self.nodes[name].exit_code is None:
            self.call(lambda: self.link.transition(name, number))

    def configure(self):
        for name in ("guard_node", "policy_node"):
            self.transition(name, Transition.TRANSITION_CONFIGURE)

    def activate(self):
        self.link.spin(0.3)
        for name in ("guard_node", "policy_node"):
            self.transition(name, Transition.TRANSITION_ACTIVATE)

    def bring_up(self):
        self.configure()
        self.activate()

    def deactivate(self):
        for name in ("policy_node", "guard_node"):
            self.transition(name, Transition.TRANSITION_DEACTIVATE)

    def clean_up(self):
        self.deactivate()
        for name in ("policy_node", "guard_node"):
            self.transition(name, Transition.TRANSITION_CLEANUP)

    def arm(self):
        if self.nodes["guard_node"].exit_code is None and self.call(self.link.arm):
            self.end_motion(armed=True)
            self.armed = True

    def start(self):
        contract = get_task("reach").contract
        self.link.publish_input(contract.signal("goal"), self.goal, "base_link")
        self.link.spin(0.2)
        if self.nodes["policy_node"].exit_code is None and self.call(lambda: self.link.trigger("policy/start")):
            if not self.armed:
                self.found.append("policy/start was accepted though nothing was armed since the last stop")
            self.started = True

    def stop(self):
        if self.nodes["policy_node"].exit_code is None:
            self.call(lambda: self.link.trigger("policy/stop"))
        self.end_motion(armed=True)

    def latch(self):
        if self.nodes["guard_node"].exit_code is None and self.call(lambda: self.link.trigger("guard/stop")):
            self.end_motion(armed=False)

    def reset(self):
        if self.nodes["guard_node"].exit_code is None and self.call(lambda: self.link.trigger("guard/reset")):
            self.end_motion(armed=False)

    def press(self):
        button = random.choice((0, 1))
        self.buttons[button].publish(Bool(data=True))
        self.buttons[button].publish(Bool(data=bool(random.getrandbits(1))))
        self.end_motion(armed=False)

    def release(self):
        for button in self.buttons:
            button.publish(Bool(data=False))

    def kill(self, name):
        if self.nodes[name].exit_code is None:
            self.nodes[name].send(signal.SIGKILL)
            self.nodes[name].end()
        self.end_motion(armed=name == "policy_node")  # an armed guard stays armed for the policy that comes back

    def restart(self, name):
        self.kill(name)
        self.nodes[name].clean_up()
        self.begin(name)
        self.link.spin(1.0)

    def wait(self):
        self.link.spin(random.choice((0.2, 1.0, 2.5)))

    def follow(self):
        """A motion that the nodes have ended by themselves is over, too."""
        self.link.spin(0.1)
        if self.link.status.get("rung") == "stop" or self.link.status.get("policy") == "idle":
            self.end_motion(armed=self.link.status.get("rung") != "stop" and self.link.status.get("armed") == "true")

    def close(self):
        for node in reversed(list(self.nodes.values())):
            node.end()
            node.clean_up()
        self.link.close()


def sequence(seed, steps=STEPS):
    """One sequence; what was found, none if all is well."""
    random.seed(seed)
    task = get_task("reach")
    goal = episode_start(task, [seed]).inputs["goal"][0].tolist()
    done = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.isthmus"
        resolved_rate(task.contract).save(path)
        domain = free_domain()
        with isolated(domain) as environment:
            run = Lifecycle(str(path), goal, environment, domain, done)
            try:
                run.bring_up()
                for _ in range(steps):
                    name, action = random.choice(
                        (
                            ("arm", run.arm),
                            ("arm", run.arm),
                            ("start", run.start),
                            ("arm, start", lambda: (run.arm(), run.start())),
                            ("stop", run.stop),
                            ("guard/stop", run.latch),
                            ("guard/reset", run.reset),
                            ("press", run.press),
                            ("release", run.release),
                            ("wait", run.wait),
                            ("bring up", run.bring_up),
                            ("clean up, bring up", lambda: (run.clean_up(), run.bring_up())),
                            ("restart policy_node", lambda: (run.restart("policy_node"), run.bring_up())),
                            ("restart guard_node", lambda: (run.restart("guard_node"), run.bring_up())),
                            ("restart sim_node", lambda: run.restart("sim_node")),
                        )
                    )
                    done.append(name)
                    action()
                    run.follow()
                run.latch()
                run.link.spin(2.0)
            finally:
                run.close()
    return [f"{problem} (after: {'; '.join(done)})" for problem in run.found], done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--record", type=Path, metavar="FILE", help="of figures, in which each sequence is kept")
    arguments = parser.parse_args()
    results = Results(arguments.record) if arguments.record else None
    bad = 0
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        key = f"seed {seed}"
        if results and key in results.rows:
            bad += bool(results.rows[key]["found"])
            continue
        found, done = sequence(seed)
        bad += bool(found)
        print(f"{seed:4} {'; '.join(found) or 'ok'}: {', '.join(done)}", flush=True)
        if results:
            results.add(key, {"seed": seed, "found": found, "steps": len(done)}, ["guard", "ros"])
    print(f"{arguments.seeds} sequences, {bad} with a motion that nobody asked for")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
