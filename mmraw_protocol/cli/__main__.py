"""`python -m mmraw_protocol.cli`: the same as `mmraw`."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
