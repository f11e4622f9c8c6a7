"""Checks with a verdict: the gallery of field reports, each run through the engines."""
