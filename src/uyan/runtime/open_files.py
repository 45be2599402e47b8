"""Room for a server's clients among the files that a process may open: each of them is one.

Where the limit is lower than the system allows, it is raised for this process. Windows has no such limit.
"""

import sys

from uyan.errors import ConfigError

SPARE = 64
"""Files open besides: libraries, bundles, logs, clients that are being refused."""


def make_room(clients: int) -> None:
    """Let this process have so many clients at once. Raises ConfigError where the system does not."""
    if sys.platform == "win32":
        return
    import resource

    needed = clients + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"{clients} clients at once need {needed} open files, and the system lets this process have {hard}; ask "
            f"for {max(1, hard - SPARE)} with --max-clients, or raise the limit (ulimit -n, LimitNOFILE= of a service)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
