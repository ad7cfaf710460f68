"""``python -m KPrismLib`` is ``kprism``."""

import sys

from KPrismLib.command.app import main

if __name__ == "__main__":
    sys.exit(main())
