"""traffic of lbbench."""
