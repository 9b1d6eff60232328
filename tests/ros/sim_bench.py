"""One `sim_node` in a ROS domain of its own, and a node that listens to it, commands it and switches its faults."""

import contextlib
import time

import numpy as np
import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from isthmus_ros.common import wire
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation.processes import NodeProcess, free_domain, isolated


class SimBench:
    """The listening node; `states` are the joint states since the last `forget`, newest last."""

    def __init__(self, domain, process):
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("tester", context=context)
        self._executor = executor(context)
        self._executor.add_node(self.node)
        self.process, self.states, self._publishers = process, [], {}
        self.node.create_subscription(JointState, "/joint_states", lambda message: self.states.append(message), qos_profile_sensor_data)

    def close(self):
        leave(self._executor, self.node)

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait(self, condition, what, seconds=15.0, every=lambda: None):
        """Spin until the condition holds, doing something in between."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.exit_code is None, self.process.log
            assert time.monotonic() < end, f"timed out: {what}\n{self.process.log}"
            every()
            self.spin(0.02)

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        self.wait(client.service_is_ready, name)
        future = client.call_async(request)
        self.wait(future.done, name)
        self.node.destroy_client(client)
        return future.result()

    def trigger(self, name):
        return self.call(Trigger, name, Trigger.Request())

    def fault(self, *entries):
        """Switch exactly these faults on; the reason of a refusal, or ""."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=list(entries) or [""])
        request = SetParameters.Request(parameters=[Parameter(name="fault", value=value)])
        (result,) = self.call(SetParameters, "sim_node/set_parameters", request).results
        return "" if result.successful else result.reason

    def forget(self):
        self.states.clear()

    def fresh(self, count=3):
        """Wait for new joint states; the newest."""
        self.forget()
        self.wait(lambda: len(self.states) >= count, "joint states")
        return self.states[-1]

    def position(self, joint="shoulder_pan_joint"):
        return wire.column(self.fresh(), "position", (joint,))[0, 0]

    def speed(self, joint="shoulder_pan_joint"):
        return wire.column(self.fresh(), "velocity", (joint,))[0, 0]

    def publisher(self, kind, topic, quality=wire.COMMAND):
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(kind, topic, quality)
        return self._publishers[topic]

    def connected(self, kind, topic):
        """The publisher of a topic that somebody listens to."""
        publisher = self.publisher(kind, topic)
        self.wait(lambda: publisher.get_subscription_count() > 0, f"subscriber of {topic}")
        return publisher

    def command(self, values, topic="/forward_velocity_controller/commands"):
        """Send a command now; for `wait(every=…)`."""
        self.connected(Float64MultiArray, topic).publish(Float64MultiArray(data=[float(value) for value in values]))


@contextlib.contextmanager
def sim_bench(**parameters):
    """A `sim_node` with these parameters; it must exit with code 0."""
    domain = free_domain()
    with isolated(domain) as environment:
        process = NodeProcess("sim_node", {"task": "reach", **parameters}, environment)
        bench = SimBench(domain, process)
        try:
            yield bench
        finally:
            bench.close()
            code, log = process.end(), process.log
            process.clean_up()
        assert code == 0, log


def pan(speed):
    """A velocity command of the first joint."""
    return np.array([speed, 0, 0, 0, 0, 0])
