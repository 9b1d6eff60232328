"""`isthmus view`."""
