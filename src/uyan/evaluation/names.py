"""What reports call a data set and a recording: its folder's name, with those above it where two are alike.

Names depend on which recordings are told apart: figures that stand side by side take theirs from the same members. They
are for people; a recording's identity is its id and its content hash.
"""

from collections.abc import Iterable, Mapping, Set

from uyan.data.member import Member
from uyan.storage.location import Location


def data_set_names(members: Iterable[Member]) -> dict[Location, str]:
    """A name of its own for each data set of these members, by its root."""
    roots = {member.recording.root for member in members}
    return {root: shortest_tail(root, roots) for root in roots}


def recording_name(member: Member, data_sets: Mapping[Location, str]) -> str:
    """Name of the data set, one of `data_set_names`, and path within it."""
    return f"{data_sets[member.recording.root]}/{member.recording.path}"


def shortest_tail(root: Location, roots: Set[Location]) -> str:
    """As many of a folder's last parts, one at least, as no other of `roots` ends with.

    >>> from pathlib import Path
    >>> talk, other = Path("/radio/talk"), Path("/street/talk")
    >>> shortest_tail(talk, {talk, other}), shortest_tail(talk, {talk})
    ('radio/talk', 'talk')
    """
    depth = 1
    while sum(other.parts[-depth:] == root.parts[-depth:] for other in roots) > 1:
        depth += 1
    return "/".join(root.parts[-depth:]).replace("//", "/")
