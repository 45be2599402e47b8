"""Parts of files of plain web servers, no more of them than was asked for: a server's word is not taken for a size.

fsspec connects; it would read an answer to its end, however long.
"""

from typing import TYPE_CHECKING

from uyan.errors import StorageError
from uyan.storage.location import Remote

if TYPE_CHECKING:
    from fsspec.implementations.http import HTTPFileSystem

PIECE_BYTES = 2**16
WHOLE, PART = 200, 206
"""Status of an answer."""


def web_part(system: "HTTPFileSystem", file: Remote, url: str, start: int, stop: int, size: int) -> bytes:
    """Bytes [start, stop) of a file of `size` bytes; fewer where the server sends fewer.

    Raises StorageError for a server that sends more, another part, or all of a file instead of one, and what fsspec
    raises.
    """
    from fsspec.asyn import sync

    found: bytes = sync(system.loop, _asked, system, file, url, start, stop, size)
    return found


async def _asked(system: "HTTPFileSystem", file: Remote, url: str, start: int, stop: int, size: int) -> bytes:
    options = dict(system.kwargs)
    headers = {**options.pop("headers", {}), "Accept-Encoding": "identity"}
    if stop - start < size:  # a plain web server may send nothing but whole files
        headers["Range"] = f"bytes={start}-{stop - 1}"
    session = await system.set_session()
    async with session.get(system.encode_url(url), headers=headers, **options) as answer:
        system._raise_not_found_for_status(answer, url)
        if "Range" in headers and answer.status == WHOLE:
            raise StorageError(f"{file}: its server sends no parts of a file; copy it to this computer")
        sent = answer.headers.get("Content-Range", "") if "Range" in headers else ""
        if sent and sent.partition("/")[0] != f"bytes {start}-{stop - 1}":
            raise StorageError(
                f"{file}: bytes {start}-{stop - 1} were asked for, but its server sends {sent}; ask who runs it"
            )
        pieces, held = list[bytes](), 0
        async for piece in answer.content.iter_chunked(PIECE_BYTES):
            held += len(piece)
            if held > stop - start:
                raise StorageError(f"{file}: its server sends more than the {size} bytes it spoke of; ask who runs it")
            pieces.append(piece)
    return b"".join(pieces)
