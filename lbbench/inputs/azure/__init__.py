"""Import of what az says of a load balancer and its cluster."""
