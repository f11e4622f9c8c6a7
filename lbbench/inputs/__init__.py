"""What operators have: scenario files, iptables rules, access logs."""
