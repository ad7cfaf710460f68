"""``kprism``, and ``python -m KPrismLib``: from the first moment on, ^C ends it without a traceback."""

import sys


def main() -> int:
    """Run the command line; -> its exit status, as :func:`KPrismLib.command.app.main` has it."""
    try:
        from KPrismLib.command.app import main as run  # here, because this takes a moment, too

        return run()
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
