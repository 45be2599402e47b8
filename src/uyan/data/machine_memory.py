"""How much memory this process may take: the machine's, or less where a control group of Linux (a container) limits it.

Read are version 2 (`memory.max`) and version 1 (`memory.limit_in_bytes`) of the process's own group and of those above
it. It knows nothing of how much of it is taken.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MEMBERSHIP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def machine_memory_bytes(membership: Path = MEMBERSHIP, groups: Path = GROUPS) -> int:
    """All memory there is for this process; other systems than Linux have neither file nor limit."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *limits_bytes(membership, groups)])


def limits_bytes(membership: Path, groups: Path) -> Iterator[int]:
    """Every limit of the groups that `membership` names, one a line (number, controllers and path), below `groups`."""
    for line in (_read(membership) or "").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if not controllers:
            folders, file = [groups, groups / "unified"], "memory.max"
        elif "memory" in controllers.split(","):
            folders, file = [groups / "memory"], "memory.limit_in_bytes"
        else:
            continue
        for folder in folders:
            for group in _with_parents(path):
                limit = (_read(folder / group / file) or "").strip()
                if limit.isdecimal():  # and not `max`
                    yield int(limit)


def _with_parents(path: str) -> list[PurePosixPath]:
    """A group and those above it; of one outside of what this process sees (a container's `/../..`), the topmost."""
    group = PurePosixPath(path.lstrip("/"))
    return [PurePosixPath()] if ".." in group.parts else [group, *group.parents]


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return None
