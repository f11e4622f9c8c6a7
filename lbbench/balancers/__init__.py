"""Balancers, one file per algorithm; `base.py` holds the protocol and the registry."""
