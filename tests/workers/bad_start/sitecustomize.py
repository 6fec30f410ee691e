"""Imported by a Python that has this folder on its path: Ray's raylet can't be started the first few times.

As where a machine has no process left to give. All before it, Ray's controller among them, has started by then.
"""

import errno
import os
import subprocess
from typing import Any

_left = int(os.environ["BAD_STARTS"])
_start = subprocess.Popen.__init__


def _bad_start(self: Any, args: Any, *more: Any, **options: Any) -> None:
    global _left
    if isinstance(args, list) and str(args[0]).endswith("/raylet") and _left:
        _left -= 1
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    _start(self, args, *more, **options)


subprocess.Popen.__init__ = _bad_start  # type: ignore[method-assign]
