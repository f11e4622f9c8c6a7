"""From a scenario to its requests: arrivals, work, clients, connections, keys, recorded traces."""
