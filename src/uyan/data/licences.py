"""What the licences of recordings are, and allow: so far, whether one forbids commercial use.

It reads the names that manifests give and is no legal advice; an unnamed licence forbids nothing here.
"""

import re
from collections.abc import Mapping

_FEW = r"(?:research|academic|personal|educational?|evaluation)"
_FORBIDDING = re.compile(
    r"(?<![a-z])nc(?![a-z])"
    r"|\bnon[\s\u2010-]*commercial"
    r"|\bnot?\s+(?:for\s+)?(?:any\s+)?commercial"
    r"|commercial\s+(?:use|usage|purposes)\s+(?:is\s+|are\s+)?(?:not|prohibited|forbidden|disallowed)"
    rf"|\b{_FEW}[\s-]+(?:(?:use|usage|purposes?)\s+)?only"
    rf"|\bonly\s+(?:for|to)\s+(?:\w+\s+)?{_FEW}"
    r"|academic[ -]use",
    re.IGNORECASE,
)


def forbids_commercial_use(license: str) -> bool:
    """Whether the name of a licence says so.

    >>> [forbids_commercial_use(name) for name in ("CC-BY-NC-4.0", "Non-Commercial use", "CC-BY-4.0", "NCSA", "")]
    [True, True, False, False, False]
    """
    return bool(_FORBIDDING.search(license))


def licence_names(recordings: Mapping[str, int]) -> list[str]:
    """The licences of so many recordings each, those without one too; nothing where none has any.

    >>> licence_names({"CC0": 60, "": 216}), licence_names({"CC0": 60}), licence_names({"": 3})
    (['CC0 (60 of 276 recordings)', 'not given (216 of 276 recordings)'], ['CC0'], [])
    """
    names = sorted(filter(None, recordings))
    if len(recordings) < 2:
        return names
    total = sum(recordings.values())
    shown = [*((name, name) for name in names), *([("", "not given")] if "" in recordings else [])]
    return [f"{name} ({recordings[key]:,} of {total:,} recordings)" for key, name in shown]
