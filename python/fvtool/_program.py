"""The program ``fvtool``."""

import signal
import sys

from ._fvtool import main as program


def main():
    """Runs the program with the arguments of this process, and ends it with the program's exit code."""
    # The program attends to Ctrl-C itself. What the process was started to ignore stays ignored.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(program(sys.argv))
