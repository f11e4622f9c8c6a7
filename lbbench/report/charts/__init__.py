"""Charts: one definition each, drawn as PNG, as SVG and in a page that answers to the mouse."""
