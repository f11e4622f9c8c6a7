"""How fast is lbbench, and against what: benchmarks, the programs they compare with, the tables."""
