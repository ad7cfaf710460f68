"""CTest entry: ``KPrismDesktop.self_test.console`` in real Slicer; the exit status says how it went."""

import sys
import traceback

import slicer

try:
    import KPrism

    KPrism.registerEffect()
    from KPrismDesktop import self_test

    if self_test.is_possible():
        self_test.console()
except BaseException:
    traceback.print_exc(file=sys.stderr)
    slicer.util.exit(slicer.util.EXIT_FAILURE)
    raise
slicer.util.exit(slicer.util.EXIT_SUCCESS)
