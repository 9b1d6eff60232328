"""A learner that trains on the robot itself: its process, and the node that asks it."""
