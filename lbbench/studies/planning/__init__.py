"""Capacity planning: how much is needed for an objective, found with the real balancers."""
