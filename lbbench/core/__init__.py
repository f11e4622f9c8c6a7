"""What everything rests on: the jit boundary, random streams, heap, hashes, rings, histograms."""
