"""``python -m lbbench`` is the command ``lbbench``."""

from lbbench.cli import main

main()
