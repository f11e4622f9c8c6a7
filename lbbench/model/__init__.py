"""model of lbbench."""
