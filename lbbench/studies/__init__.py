"""studies of lbbench."""
