"""core of lbbench."""
