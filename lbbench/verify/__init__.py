"""verify of lbbench."""
