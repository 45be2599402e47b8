"""The limit of open files is raised where the system lets it, and too many clients are refused with the way out."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")

TRY = """
import resource, sys
from uyan.errors import ConfigError
from uyan.runtime.open_files import make_room
soft, hard, clients = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    make_room(clients)
except ConfigError as reason:
    print(reason)
else:
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def told(soft: int, hard: int, clients: int) -> str:
    command = [sys.executable, "-c", TRY, str(soft), str(hard), str(clients)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_enough_stays_as_it_is_and_less_is_raised() -> None:
    assert told(256, 512, 100) == "256"
    assert told(100, 512, 256) == "320"


def test_more_than_the_system_allows_is_refused_with_what_it_does() -> None:
    text = told(128, 256, 256)
    assert "256 clients at once need 320 open files" in text
    assert "this process have 256; ask for 192 with --max-clients" in text
