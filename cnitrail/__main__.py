"""``python -m cnitrail``."""

from cnitrail.cli import main

main()
