"""``cnitrail``, and ``python -m cnitrail``."""

import sys


def run() -> None:
    """Run the command line. Ctrl-C during its import exits as quietly as later."""
    try:
        from cnitrail.cli import main
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    main(prog_name="cnitrail")


if __name__ == "__main__":
    run()
