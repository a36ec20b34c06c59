"""``python -m leadup``."""

from leadup.cli import main

main(prog_name="leadup")
