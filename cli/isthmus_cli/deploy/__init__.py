"""`isthmus deploy`."""
