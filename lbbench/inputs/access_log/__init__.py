"""Import of access logs of any length: requests, arrivals, recovered service times, a trace."""
