"""Whole jobs: run one scenario, compare variants, look ahead, compile beforehand."""
