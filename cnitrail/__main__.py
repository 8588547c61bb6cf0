"""``cnitrail``, and ``python -m cnitrail``."""

import sys


def run() -> None:
    """Run the command line; an interruption while it is still being imported is none of its faults."""
    try:
        from cnitrail.cli import main
    except KeyboardInterrupt:
        sys.stderr.write("cnitrail: interrupted\n")
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
