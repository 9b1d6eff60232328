"""`isthmus sweep`."""
