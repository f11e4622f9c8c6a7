"""The league: every balancer at the same fixed jobs, under the same traffic."""
