"""What the nodes share: words on the wire, states of the robot, lifecycle, parameters, spinning."""
