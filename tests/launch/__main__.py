"""`python -m tests.launch [RECIPE ...]`: run recipes of launch/ for real, on machines that are namespaces; as root."""

import sys
import tempfile
import time
from pathlib import Path

from tests.launch.recipes import RECIPES

for name in sys.argv[1:] or RECIPES:
    # Not in /tmp, which no machine shares; short, for Ray's sockets may lie in it.
    with tempfile.TemporaryDirectory(prefix="bl-", dir="/srv", ignore_cleanup_errors=True) as folder:
        begin = time.monotonic()
        said = RECIPES[name](Path(folder))
        sys.stdout.write(f"{said}\n{name}: ran in {time.monotonic() - begin:.0f} s\n")
        sys.stdout.flush()
