"""engines of lbbench."""
