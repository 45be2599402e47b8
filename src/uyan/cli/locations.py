"""Manifests as the command line names them: paths or URLs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uyan.storage.location import Location


def located(names: "Iterable[str]") -> "list[Location]":
    """Where they are; short remote files are copied into the user's cache."""
    from uyan.storage.local_copies import user_copies
    from uyan.storage.location import locate

    copies = user_copies()
    return [locate(name, copies=copies) for name in names]
