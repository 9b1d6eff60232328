"""Episodes and services across topics, and nodes as child processes."""
