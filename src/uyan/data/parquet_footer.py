"""How large a Parquet table is, from its footer: a small file can unpack to any number of rows and bytes.

Only as much of Thrift's compact protocol as getting past the other fields needs; it unpacks no page, and takes the
footer's word for them (parquet.thrift in the Apache Parquet format: FileMetaData, RowGroup, ColumnMetaData).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

MAGIC = b"PAR1"
MAX_FOOTER_BYTES = 16_000_000
MAX_DEPTH = 16
"""Of fields within fields; the format has six."""
MAX_VARINT_BYTES = 10

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)


@dataclass(frozen=True)
class TableSize:
    """What reading some columns of a table takes."""

    rows: int
    unpacked_bytes: int
    """Of their pages, without compression; values that a page repeats are in it once."""


def table_size(raw: bytes, columns: Collection[str]) -> TableSize:
    """The size of these columns of a whole Parquet file. Raises ValueError for a footer that cannot be read."""
    length = int.from_bytes(raw[-8:-4], "little")
    if raw[-4:] != MAGIC or not 0 < length <= min(len(raw) - 8, MAX_FOOTER_BYTES):
        raise ValueError("its end is no Parquet footer")
    try:
        return _size(_Reader(raw[-8 - length : -8]).struct(), columns)
    except (IndexError, KeyError, TypeError, AttributeError) as reason:
        raise ValueError("its footer is damaged") from reason


def _size(footer: dict[int, Any], columns: Collection[str]) -> TableSize:
    """FileMetaData: 3 rows, 4 row groups (1 columns, 3 rows); a column's 3: 3 path, 6 unpacked bytes."""
    groups = footer[4]
    wanted = {name.encode() for name in columns}
    chunks = [column[3] for group in groups for column in group[1] if column[3][3][0] in wanted]
    sizes = [footer[3], *(group[3] for group in groups), *(chunk[6] for chunk in chunks)]
    if min(sizes) < 0:
        raise ValueError("its footer has a negative size")
    return TableSize(max(footer[3], sum(group[3] for group in groups)), sum(chunk[6] for chunk in chunks))


class _Reader:
    """Values of Thrift's compact protocol, one after the other. Raises ValueError or IndexError where there is none."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at, self._depth = raw, 0, 0

    def struct(self) -> dict[int, Any]:
        """Fields by number; a field says how far its number is from the last one."""
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._bytes(1)[0]) != 0:
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 0x0F
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("its footer is damaged")
        value = self._within(kind)
        self._depth -= 1
        return value

    def _within(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._bytes(1)[0]
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind in (_LIST, _SET):
            head = self._bytes(1)[0]
            size = head >> 4 if head >> 4 != 0x0F else self._varint()
            return [self._value(head & 0x0F) for _ in range(size)]
        if kind == _MAP:
            size = self._varint()
            kinds = self._bytes(1)[0] if size else 0
            return [(self._value(kinds >> 4), self._value(kinds & 0x0F)) for _ in range(size)]
        if kind == _STRUCT:
            return self.struct()
        raise ValueError("its footer is damaged")

    def _integer(self) -> int:
        """Signed ones alternate: 0, -1, 1, -2, …"""
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _varint(self) -> int:
        """Seven bits a byte, the lowest first."""
        number = 0
        for place in range(MAX_VARINT_BYTES):
            byte = self._bytes(1)[0]
            number |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return number
        raise ValueError("its footer is damaged")

    def _bytes(self, count: int) -> bytes:
        found = self._raw[self._at : self._at + count]
        if len(found) != count:
            raise ValueError("its footer is damaged")
        self._at += count
        return found
