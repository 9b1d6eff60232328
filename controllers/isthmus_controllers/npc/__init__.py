"""Neural predictive control: a network that plans for a formula, a model that checks its plans, and a search for when they fail."""
