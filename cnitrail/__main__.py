"""``cnitrail``, and ``python -m cnitrail``."""

import os
import sys

_ENDED_BY_SIGNAL = (130, 143)


def run() -> None:
    """Run the command line. Ctrl-C during its import exits as quietly as later."""
    try:
        from cnitrail.cli import main
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    try:
        main(prog_name="cnitrail")
    except SystemExit as end:
        if end.code in _ENDED_BY_SIGNAL:
            os._exit(int(end.code))  # at once: threads may still wait a minute for an answer of AWS
        raise


if __name__ == "__main__":
    run()
