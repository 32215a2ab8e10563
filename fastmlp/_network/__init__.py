"""A network: what it is, its arrays in panels, its threads. Knows of no training."""
