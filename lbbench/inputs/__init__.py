"""inputs of lbbench."""
