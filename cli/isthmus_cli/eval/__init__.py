"""`isthmus eval`."""
