"""The process that is the only publisher on the robot's command topic."""
