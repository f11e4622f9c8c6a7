"""What a person writes and gets: Scenario, topology, Trace, the raw Tally, Result."""
