"""What people see on a terminal: tables, listings, progress."""
