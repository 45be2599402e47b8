"""Page faults of real processes: what is freed is kept within bounds, and the environment's own word is heeded."""

import os
import platform
import subprocess
import sys

import pytest

from uyan.freed_memory import BLOCK_BYTES, SPARE_BYTES

PROGRAM = """
import resource, sys
import numpy as np
from uyan.freed_memory import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
count, size = map(int, sys.argv[2:])
def work():
    return sum(int(array[-1]) for array in [np.ones(size, np.uint8) for _ in range(count)])
def pages():
    return int(open("/proc/self/statm").read().split()[1])
work()
before, held = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, pages()
for _ in range(20):
    work()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, held)
"""
WITHOUT = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
COUNT, SIZE = 8, 3 << 20
PAGES = COUNT * SIZE // PAGE_BYTES


def measured(what: str, count: int = COUNT, size: int = SIZE, **environment: str) -> tuple[bool, int, int]:
    """Of a new process in which arrays come and go twenty times: whether it keeps them, page faults, pages it holds."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, str(count), str(size)],
        env=WITHOUT | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, faults, pages = done.stdout.split()
    return kept == "1", int(faults), int(pages)


@pytest.fixture(scope="module", autouse=True)
def glibc() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("no glibc here: freed memory is nobody's to keep")


def test_arrays_that_come_and_go_cost_no_page_faults() -> None:
    kept, faults, _ = measured("keep")
    assert kept
    assert faults < PAGES  # not even those of one time, of twenty


def test_without_it_they_cost_them_every_time() -> None:
    assert measured("leave")[1] > 10 * PAGES


@pytest.mark.parametrize(("count", "size"), [(1, 4 * BLOCK_BYTES), (4 * SPARE_BYTES // BLOCK_BYTES, BLOCK_BYTES // 2)])
def test_what_is_kept_is_bounded(count: int, size: int) -> None:
    bare = measured("keep", 1, 1)[2]
    held = (measured("keep", count, size)[2] - bare) * PAGE_BYTES
    assert held < min(count * size, SPARE_BYTES + BLOCK_BYTES)


@pytest.mark.parametrize("setting", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.check=0"}])
def test_the_environment_is_heeded(setting: dict[str, str]) -> None:
    assert not measured("keep", **setting)[0]
