"""Import of a node's connection table."""
