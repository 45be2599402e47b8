"""What the licences of recordings allow: so far, whether one forbids commercial use.

It reads the names that manifests give and is no legal advice; an unnamed licence forbids nothing here.
"""

import re

_FORBIDDING = re.compile(r"(?<![a-z])nc(?![a-z])|non-?\s?commercial|research[ -]only|academic[ -]use", re.IGNORECASE)


def forbids_commercial_use(license: str) -> bool:
    """Whether the name of a licence says so.

    >>> [forbids_commercial_use(name) for name in ("CC-BY-NC-4.0", "Non-Commercial use", "CC-BY-4.0", "NCSA", "")]
    [True, True, False, False, False]
    """
    return bool(_FORBIDDING.search(license))
