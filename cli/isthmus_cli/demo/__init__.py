"""`isthmus demo`."""
