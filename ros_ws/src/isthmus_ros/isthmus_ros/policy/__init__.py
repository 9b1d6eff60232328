"""The process that decides: it asks a guard, never the robot."""
