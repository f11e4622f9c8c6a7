"""The tables of the shipped studies, a file per study."""
