"""What is written for other programs: requests as Parquet, percentiles as .hgrm."""
