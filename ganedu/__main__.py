"""``python -m ganedu`` is ``ganedu``."""

from ganedu.cli import main

main()
