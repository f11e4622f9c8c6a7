"""Import of iptables rules: chains, services, shares, a scenario."""
