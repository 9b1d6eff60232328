"""`isthmus identify`: from recordings of a robot to a simulator that predicts it."""
