"""store of lbbench."""
