"""What waits on `guard/command` is read together: nobody is overtaken unheard (row 79 of the fault table; once in three times on 2579444)."""

import contextlib
import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.signals import SignalHandlerOptions

from isthmus.records import Command
from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation.processes import free_domain, isolated
from isthmus_ros.guard.commands import CommandTopic
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros
ROBOT, CONTRACT, DIGEST = load_robot("ur5e"), get_task("reach").contract, "f" * 64


class Stream:
    armed = True

    def __init__(self):
        self.batches, self.ignored, self.stopped = [], 0, ""

    def accept(self, *asked):
        self.batches.append([(one.epoch, one.sequence) for one in asked])

    def ignore(self, reason):
        self.ignored += 1

    def stop(self, cause):
        self.stopped = cause


@pytest.fixture
def graph():
    """A guard's topic and two senders in one process; nothing is read before the test spins."""
    domain = free_domain()
    with isolated(domain), contextlib.ExitStack() as ends:
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("listens", context=context)
        spinner = executor(context)
        spinner.add_node(node)
        ends.callback(leave, spinner, node)
        stream = Stream()
        topic = CommandTopic(node, SimpleNamespace(contract=CONTRACT, digest=DIGEST), stream)
        senders = [node.create_publisher(wire.joint_command(command()).__class__, "guard/command", wire.COMMAND) for _ in range(2)]
        patience = time.monotonic() + 10
        while any(not sender.get_subscription_count() for sender in senders):
            assert time.monotonic() < patience
            spinner.spin_once(timeout_sec=0.05)
        yield SimpleNamespace(
            stream=stream, topic=topic, senders=senders, spin=lambda: [spinner.spin_once(timeout_sec=0.05) for _ in range(5)]
        )


def command():
    return Command("velocity", CONTRACT.action.elements, np.zeros((1, 6)))


def say(sender, epoch, sequence, digest=DIGEST):
    message = wire.joint_command(command())
    message.header.frame_id = wire.frame_id(digest, epoch, sequence)
    sender.publish(message)


def test_all_that_waits_is_read_at_once_whoever_sent_it(graph):
    for sequence in (1, 2, 3):
        say(graph.senders[0], "0a1b2c3d", sequence)
        say(graph.senders[1], "ffffffff", 10**9)
    time.sleep(0.2)
    graph.spin()
    (batch,) = graph.stream.batches
    assert [sequence for epoch, sequence in batch if epoch == "0a1b2c3d"] == [1, 2, 3]
    assert batch.count(("ffffffff", 10**9)) == 3
    say(graph.senders[0], "0a1b2c3d", 4)
    time.sleep(0.1)
    graph.spin()
    assert graph.stream.batches[1:] == [[("0a1b2c3d", 4)]]


def test_what_is_no_command_stops_and_hides_no_other(graph):
    say(graph.senders[1], "ffffffff", 7, digest="e" * 64)
    say(graph.senders[0], "0a1b2c3d", 1)
    time.sleep(0.2)
    graph.spin()
    assert graph.stream.ignored == 1
    assert "contract" in graph.stream.stopped
    assert graph.stream.batches[-1] == [("0a1b2c3d", 1)]
