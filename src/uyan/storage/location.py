"""Where a file is: a `Path` on this computer, or `Remote`, a URL behind which it lies. Names only; nothing is opened.

Both are small, can be pickled, compared and put into sets, and go down by `/`. A name below a URL never leads out of
it: `..` is refused, and what looks like an escape in a URL is an ordinary character of a name.
"""

import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from uyan.errors import StorageError
from uyan.storage.local_copies import LocalCopies

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]*)://(.*)", re.DOTALL)
WEB = ("http", "https")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file or folder behind a URL that fsspec reads; `locate` makes it from what a user wrote."""

    url: str
    """`scheme://bucket/key`, without a slash at its end; percent signs are characters like any other."""
    copies: LocalCopies | None = field(default=None, compare=False, repr=False)
    """Where short files are kept once they were fetched; None keeps nothing."""

    def __truediv__(self, relative: str) -> "Remote":
        """A name below this one. Raises StorageError where it would lead elsewhere."""
        if any(part in ("", ".", "..") for part in relative.split("/")):
            raise StorageError(f"{self.url}: {relative!r} is no name below it; write it without '..' and empty parts")
        return Remote(f"{self.url}/{relative}", self.copies)

    @property
    def scheme(self) -> str:
        """The protocol, in small letters."""
        return self.url.partition("://")[0]

    @property
    def parts(self) -> tuple[str, ...]:
        """The protocol with its colon, the bucket or host, the names below it.

        >>> Remote("s3://words/set/a.wav").parts
        ('s3:', 'words', 'set', 'a.wav')
        """
        scheme, _, rest = self.url.partition("://")
        return (f"{scheme}:", *rest.split("/"))

    @property
    def name(self) -> str:
        """The last part."""
        return self.parts[-1]

    @property
    def suffix(self) -> str:
        """`.wav` and the like, with its dot; empty where there is none."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> "Remote":
        """What holds it; a bucket holds itself."""
        return Remote(self.url.rpartition("/")[0], self.copies) if len(self.parts) > 2 else self

    def as_posix(self) -> str:
        """The URL, as a path has it."""
        return self.url

    def __str__(self) -> str:
        return self.url


Location = Path | Remote
"""Where a file is."""


def is_url(text: str) -> bool:
    """Whether a user means a URL.

    >>> is_url("s3://words/manifest.csv"), is_url("words/manifest.csv"), is_url("C:/words")
    (True, False, False)
    """
    return _URL.fullmatch(text) is not None


def locate(text: str, base: Path | None = None, copies: LocalCopies | None = None) -> Location:
    """What a user wrote as a location: a path, relative to `base`, or a URL; `file://` is a path, too.

    Raises StorageError for a URL with `..`, credentials, a query, or protocols within protocols.
    """
    match = _URL.fullmatch(text)
    if match is None:
        return Path(text) if base is None else Path(os.path.normpath(base / text))
    scheme, rest = match[1].lower(), match[2]
    if "::" in scheme:
        raise StorageError(f"{scheme}://…: a URL within a URL cannot be read; unpack it first")
    host, slash, path = rest.partition("/")
    if scheme == "file":
        if host not in ("", "localhost") or not path:
            raise StorageError(f"{text}: names no absolute path of this computer; write file:///folder/file")
        return Path(os.path.normpath(f"/{unquote(path)}"))
    if scheme in WEB:
        path = _web_path(host, path)
    if "@" in host:
        raise StorageError(
            f"{scheme}://…@{host.rpartition('@')[2]}{slash}{path}: credentials do not belong into a URL, where reports "
            "would show them; use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or fsspec's configuration"
        )
    parts = [part for part in (host, *path.split("/")) if part]
    _refuse_steps(parts, text)
    return Remote(f"{scheme}://{'/'.join(parts)}", copies)


def _web_path(host: str, path: str) -> str:
    """The path with its escapes read, as names are; queries, often secrets, cannot be carried to a folder's files."""
    if "?" in path or "#" in path or "?" in host:
        shown = f"{host.rpartition('@')[2].partition('?')[0]}/{path.partition('?')[0]}"
        raise StorageError(f"{shown}: a URL with a query or a fragment; only plain ones name a folder and its files")
    return unquote(path)


def _refuse_steps(parts: Iterable[str], text: str) -> None:
    named = list(parts)
    if not named:
        raise StorageError(f"{text}: names nothing; write it like s3://bucket/folder/manifest.csv")
    if any(part in (".", "..") or "\0" in part for part in named):
        raise StorageError(f"{text}: a URL with '.' or '..' in it; write the whole way")
