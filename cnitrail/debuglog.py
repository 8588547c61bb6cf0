"""Debug messages for ``--debug``, through the standard library's ``logging``."""

import sys


def debug(logger: str, message: str, *values: object) -> None:
    """Log a message at level DEBUG.

    Importing ``logging`` would slow every command down. If nobody has imported it, nobody listens.
    """
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger(logger).debug(message, *values)
