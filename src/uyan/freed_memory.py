"""What this process frees, it keeps for its next arrays, where glibc lets it: asking for pages again costs more.

By itself glibc gives large blocks back at once, and a process that makes and drops arrays of some megabytes spends up
to as long in page faults as in computing (LOG.md, 2026-12-01). Blocks above BLOCK_BYTES are given
back as before, and so is what lies free above SPARE_BYTES at the end of a heap; holes below it are not bounded.
"""

import ctypes
import os
import platform
from functools import cache

BLOCK_BYTES = 32 << 20
"""The most that `mallopt` takes in every 64-bit glibc."""
SPARE_BYTES = 256 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # <malloc.h>
_SETTINGS = "MALLOC_", "GLIBC_TUNABLES"


@cache
def keep_freed_memory() -> bool:
    """Whether it is kept from now on: not without glibc, and not where the environment sets its allocator."""
    chosen = any(name.startswith(_SETTINGS) for name in os.environ)
    if chosen or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, BLOCK_BYTES) and mallopt(_TRIM_THRESHOLD, SPARE_BYTES))
