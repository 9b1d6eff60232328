"""Which processes run for a use, as plain data (`plan`), and the same as ROS launch actions (`actions`, needs a ROS distribution)."""
