"""From counts to statements: balance, latency, intervals, exact theory, the Result."""
