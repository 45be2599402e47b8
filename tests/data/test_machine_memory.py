"""The memory of a container is its limit, whichever version and however deep; elsewhere it is the machine's."""

import os
from pathlib import Path

import pytest

from uyan.data.cache import GIB, default_budget_gb
from uyan.data.machine_memory import machine_memory_bytes

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
LIMIT = PHYSICAL // 3
NONE_V1 = "9223372036854771712"
V2, V1 = "0::/jobs/one\n", "5:cpu,cpuacct:/other\n4:memory:/jobs/one\n1:name=systemd:/\n"
BOTH = V1 + "0::/\n"


def found(folder: Path, membership: str | None, files: dict[str, str]) -> int:
    if membership is not None:
        (folder / "membership").write_text(membership, encoding="utf-8")
    for path, content in files.items():
        (folder / "groups" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "groups" / path).write_text(f"{content}\n", encoding="utf-8")
    return machine_memory_bytes(folder / "membership", folder / "groups")


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        (V2, {"jobs/one/memory.max": str(LIMIT), "jobs/memory.max": "max"}),
        (V2, {"jobs/one/memory.max": "max", "jobs/memory.max": str(LIMIT)}),
        (V2, {"jobs/one/memory.max": str(LIMIT), "jobs/memory.max": str(2 * LIMIT)}),
        ("0::/\n", {"memory.max": str(LIMIT)}),
        ("0::/../../kube/pod\n", {"memory.max": str(LIMIT)}),
        (V1, {"memory/jobs/one/memory.limit_in_bytes": str(LIMIT), "memory/memory.limit_in_bytes": NONE_V1}),
        (V1, {"memory/memory.limit_in_bytes": str(LIMIT)}),
        (BOTH, {"memory/jobs/one/memory.limit_in_bytes": str(LIMIT)}),
        ("0::/deep/er\n1:name=systemd:/\n", {"unified/deep/er/memory.max": str(LIMIT)}),
    ],
)
def test_the_lowest_limit_counts(tmp_path: Path, membership: str, files: dict[str, str]) -> None:
    assert found(tmp_path, membership, files) == LIMIT


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        (None, {}),
        (V2, {}),
        (V2, {"jobs/one/memory.max": "max", "jobs/two/memory.max": str(LIMIT)}),
        (V1, {"memory/jobs/one/memory.limit_in_bytes": NONE_V1}),
        (V1, {"memory/other/memory.limit_in_bytes": str(LIMIT), "memory.max": str(LIMIT)}),
        ("torn", {"memory.max": "much"}),
        ("", {"memory.max": str(LIMIT)}),
    ],
)
def test_where_there_is_no_limit_it_is_the_machine(
    tmp_path: Path, membership: str | None, files: dict[str, str]
) -> None:
    assert found(tmp_path, membership, files) == PHYSICAL


def test_budgets_are_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uyan.data.cache.machine_memory_bytes", lambda: 8 * GIB)
    assert default_budget_gb() == 1.5
