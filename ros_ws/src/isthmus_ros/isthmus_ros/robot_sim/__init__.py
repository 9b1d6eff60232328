"""A simulation behaving as the robot."""
