"""``python -m bbmeasure``: the command line."""

import sys

from bbmeasure.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
