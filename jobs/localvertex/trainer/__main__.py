"""`python -m jobs.localvertex.trainer --option=value …`, with the options of a custom job."""

import os
import sys

from jobs.localvertex.trainer.program import main

if __name__ == "__main__":
    code = main(sys.argv[1:], os.environ)
    sys.stdout.flush()
    os._exit(code)  # waiting for daemon threads is of no use
