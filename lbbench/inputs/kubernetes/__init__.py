"""Import of a cluster's objects: JSON, YAML and tables of kubectl."""
