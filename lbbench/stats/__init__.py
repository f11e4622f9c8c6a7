"""stats of lbbench."""
