"""``python -m leukoscope``."""

from leukoscope.cli import main

main()
