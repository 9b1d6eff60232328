"""The command line: the only place that wires robots, simulators, learners and ROS 2 together."""
