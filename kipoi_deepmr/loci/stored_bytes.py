"""The bytes of a file by their place: a plain file, or a BGZF file, whose places are those before compression."""

import os
import struct
import zlib
from bisect import bisect_right
from functools import lru_cache

from ..errors import InputError

GZIP = b"\x1f\x8b"
FIRST_BYTES, READ_BYTES = 1 << 10, 1 << 20  # at once, while a byte is looked for
BLOCKS_HELD = 64  # of at most 64 KiB each

_BGZF = b"\x1f\x8b\x08\x04"


def open_bytes(path):
    """The bytes of a plain or BGZF file: a `PlainBytes` or `BgzfBytes`.

    Raises
    ------
    InputError
        The file is compressed in another way, or is BGZF that is damaged.
    """
    plain = PlainBytes(path)
    try:
        start = plain.read(0, 18)
        if not start.startswith(GZIP):
            return plain
        if not start.startswith(_BGZF) or b"BC\x02\x00" not in start:
            raise InputError(f"{path}: not a FASTA file that can be indexed: it is compressed by gzip, which cannot be "
                             f"read in the middle; use BGZF (`gunzip -c {path} | bgzip > NEW.fa.gz`), or unpack it")
        return BgzfBytes(path, plain)
    except BaseException:
        plain.close()
        raise


class PlainBytes:
    """The bytes of a file."""

    def __init__(self, path):
        self._file = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._file).st_size

    def read(self, start, stop):
        """Bytes [start, stop), fewer where the file ends before."""
        parts, stop = [], min(stop, self.size)
        while start < stop:
            part = os.pread(self._file, stop - start, start)  # no position, so that forks and threads may share it
            if not part:
                break
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def find(self, byte, start, stop=None):
        """Place of the first `byte` in [start, stop), or the end of that."""
        stop, n_bytes = self.size if stop is None else min(stop, self.size), FIRST_BYTES
        while start < stop:
            found = self.read(start, min(start + n_bytes, stop)).find(byte)
            if found >= 0:
                return start + found
            start, n_bytes = start + n_bytes, min(2 * n_bytes, READ_BYTES)
        return stop

    def close(self):
        if self._file is not None:
            os.close(self._file)
        self._file = None


class BgzfBytes(PlainBytes):
    """The uncompressed bytes of a BGZF file.

    Its blocks are found by their own headers, so that no .gzi index need be trusted.

    Attributes
    ----------
    blocks : list of (int, int)
        Where each block begins, in the file and in the uncompressed bytes.

    References
    ----------
    The SAM/BAM format specification, section 4.1, "The BGZF compression format".
    """

    def __init__(self, path, plain):
        self.path, self._plain = path, plain
        self.blocks, self.size = self._walk()
        self._starts = [start for _, start in self.blocks]
        self._block = lru_cache(BLOCKS_HELD)(self._unpacked)

    def _walk(self):
        blocks, place, start = [], 0, 0
        while place < self._plain.size:
            head = self._plain.read(place, place + 18)
            size = _block_size(head)
            if size is None or place + size > self._plain.size:
                raise InputError(f"{self.path}: cut off or damaged: no whole BGZF block at byte {place:,}")
            blocks.append((place, start))
            start += int.from_bytes(self._plain.read(place + size - 4, place + size), "little")
            place += size
        return blocks, start

    def _unpacked(self, number):
        place, start = self.blocks[number]
        ends = self.blocks[number + 1:number + 2] or [(self._plain.size, self.size)]
        try:
            content = zlib.decompress(self._plain.read(place, ends[0][0]), 31)
        except zlib.error as error:
            raise InputError(f"{self.path}: damaged at byte {place:,} ({error})") from None
        if len(content) != ends[0][1] - start:
            raise InputError(f"{self.path}: damaged at byte {place:,}: a block of another size than it states")
        return content

    def read(self, start, stop):
        """Uncompressed bytes [start, stop), fewer where the file ends before."""
        parts, stop = [], min(stop, self.size)
        number = bisect_right(self._starts, start) - 1
        while start < stop:
            first = self._starts[number]
            part = self._block(number)[start - first:stop - first]
            parts.append(part)
            start += len(part)
            number += 1
        return b"".join(parts)

    def index(self):
        """The bytes of a .gzi index, which other programs need."""
        numbers = [len(self.blocks) - 1, *(number for block in self.blocks[1:] for number in block)]
        return struct.pack(f"<{len(numbers)}Q", *numbers)

    def close(self):
        self._plain.close()


def _block_size(head):
    """Bytes of the BGZF block that begins so; None where none does."""
    if len(head) < 18 or not head.startswith(_BGZF) or head[12:16] != b"BC\x02\x00":
        return None
    return int.from_bytes(head[16:18], "little") + 1
