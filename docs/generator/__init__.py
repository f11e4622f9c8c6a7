"""What the generated pages are made from; `python -m docs.generate` writes them."""
