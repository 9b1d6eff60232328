"""ROS 2 nodes around the isthmus library: a policy on a robot's topics, and a simulator behaving as the robot."""
