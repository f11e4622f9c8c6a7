"""report of lbbench."""
