"""The same plan run twice: a compiled event loop (fast) and SimPy processes (reference)."""
