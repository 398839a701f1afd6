"""The index of a FASTA file (.fai): made, read, and compared with the bytes that it describes.

An index says at which byte the bases of a contig begin, and how long its lines are. Where one of these is wrong, bases
are shifted, and nothing shows it. So nothing is read by an index before all lines of the contig were compared with it.
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputError

CHUNK_BYTES = 1 << 23
_BLANK = 32  # this byte and all below it
_HEADER, _NEWLINE = b">"[0], b"\n"[0]


class Mismatch(Exception):
    """An index describes another file; the text says how it differs."""


class RaggedLines(Mismatch):
    """Lines of a contig that an index cannot describe; `place` is a byte of the first such line."""

    def __init__(self, text, place):
        super().__init__(text)
        self.place = place


class Contig(NamedTuple):
    """A line of an index: name, bases, byte of the first base, bases and bytes of each line but the last."""

    name: bytes
    length: int
    offset: int
    line_bases: int
    line_bytes: int

    def byte_of(self, position):
        """Place of a base in the file."""
        line, column = divmod(position, self.line_bases) if self.line_bases else (0, 0)
        return self.offset + line * self.line_bytes + column

    @property
    def end(self):
        """Place after the last base."""
        return self.byte_of(self.length - 1) + 1 if self.length else self.offset


def contigs_of_index(text):
    """The contigs of an index (bytes), by their place in the FASTA.

    Raises
    ------
    Mismatch
        It is empty or malformed, or names a contig twice.
    """
    contigs = []
    for number, line in enumerate(text.splitlines(), 1):
        name, *numbers = line.split(b"\t")
        try:
            contig = Contig(name, *map(int, numbers[:4]))
        except (TypeError, ValueError):
            raise Mismatch(f"line {number} of the index is malformed or cut off") from None
        if not _is_possible(contig):
            raise Mismatch(f"line {number} of the index has numbers that fit no file")
        contigs.append(contig)
    if not contigs:
        raise Mismatch("the index is empty")
    contigs.sort(key=lambda contig: contig.offset)
    names = {}
    for contig in contigs:
        if contig.name in names:
            raise Mismatch(f"the index names {shown(contig.name)} twice")
        names[contig.name] = contig
    return contigs


def _is_possible(contig):
    if min(contig[1:]) < 0 or max(contig[1:]) >= 2 ** 62 or not contig.name:
        return False
    return contig.length == 0 or 0 < contig.line_bases <= contig.line_bytes


def text_of_index(contigs):
    """The bytes of an index file."""
    return b"".join(b"\t".join([contig.name, *(b"%d" % number for number in contig[1:])]) + b"\n" for contig in contigs)


def check_headers(file, contigs):
    """Raise `Mismatch` unless the file is headers and contigs, one after the other, as an index says.

    Parameters
    ----------
    file : PlainBytes
    contigs : list of Contig
        In the order of their offsets.
    """
    end, names = 0, {contig.name for contig in contigs}
    for contig in contigs:
        header = _next_header(file, end, contig.name)
        if header is None:
            raise Mismatch(f"the file ends at byte {file.size:,}, before contig {shown(contig.name)}, which should "
                           f"begin at {contig.offset:,}: it is cut off, or the index is that of another file")
        name, offset = _read_header(file, header)
        if name != contig.name:
            raise Mismatch(f"where contig {shown(contig.name)} should follow, the file has {_another(name, names)}")
        if offset != contig.offset:
            raise Mismatch(f"contig {shown(name)} begins at byte {offset:,}, and not at {contig.offset:,}")
        end = contig.end
        if end > file.size:
            raise Mismatch(f"contig {shown(name)} should end at byte {end:,}, and the file has {file.size:,}: it is "
                           "cut off, or the index is that of another file")
    header = _next_header(file, end, None)
    if header is not None:
        raise Mismatch(f"after its last contig the file has {_another(_read_header(file, header)[0], names)}")


def _another(name, names):
    """The name of a contig, and whether the index lacks it."""
    return f"{shown(name)}{', which comes twice or in another order' if name in names else ', which the index lacks'}"


def _next_header(file, place, name):
    """Place of the next header, past contigs without bases, which htslib leaves out; None at the end of the file."""
    header = _header_at(file, place)
    while header is not None:
        there, offset = _read_header(file, header)
        if there == name or not _is_empty(file, offset):
            break
        header = _header_at(file, offset)
    return header


def _is_empty(file, offset):
    try:
        _header_at(file, offset)
    except Mismatch:
        return False
    return True


def _header_at(file, place):
    """Place of the `>` of the next header, before which only blanks may stand; None at the end of the file."""
    first = place
    while part := file.read(place, place + 1024):
        rest = part.lstrip()
        if rest:
            found = place + len(part) - len(rest)
            if rest[0] == _HEADER and (found == 0 or file.read(found - 1, found) == b"\n"):
                return found
            if not first:
                raise Mismatch("the file does not begin with a header (>)")
            raise Mismatch(f"bases go on at byte {found:,}, where a contig should have ended")
        place += len(part)
    return None


def _read_header(file, place):
    """Name in a header, and where the line after it begins."""
    end = file.find(b"\n", place)
    words = file.read(place + 1, end).split(None, 1)
    return words[0] if words else b"", min(end + 1, file.size)


def check_lines(file, contig):
    """Raise `RaggedLines` unless each line of a contig has the bases and bytes that its index says.

    Parameters
    ----------
    file : PlainBytes
    contig : Contig
        One that `check_headers` passed.
    """
    if not contig.length:
        return
    n_full = (contig.length - 1) // contig.line_bases
    step = max(1, CHUNK_BYTES // contig.line_bytes)
    for first in range(0, n_full, step):
        _check_full_lines(file, contig, first, min(first + step, n_full))
    place = contig.byte_of(n_full * contig.line_bases)
    last = np.frombuffer(file.read(place, contig.end), np.uint8)
    if last[0] == _HEADER or (last <= _BLANK).any():
        raise _ragged(file, contig, place)


def _check_full_lines(file, contig, first, stop):
    start = contig.offset + first * contig.line_bytes
    lines = np.frombuffer(file.read(start, start + (stop - first) * contig.line_bytes), np.uint8)
    lines = lines.reshape(-1, contig.line_bytes)
    ends = lines[:, contig.line_bases:]
    is_right = ends.shape[1] > 0 and (ends <= _BLANK).all() and (lines[:, -1] == _NEWLINE).all() \
        and np.count_nonzero(lines <= _BLANK) == ends.size and np.count_nonzero(lines == _NEWLINE) == len(lines) \
        and not (lines[:, 0] == _HEADER).any()
    if is_right:
        return
    place = start
    for line in lines.tolist():
        text = bytes(line)
        if len(text.split()) != 1 or text.find(b"\n") != len(text) - 1 or text[0] == _HEADER \
                or len(text.rstrip()) != contig.line_bases:
            raise _ragged(file, contig, place)
        place += contig.line_bytes
    raise _ragged(file, contig, start)


def _ragged(file, contig, place):
    """What is wrong with the line that should begin at a place."""
    end = file.find(b"\n", place)
    content = file.read(place, end)
    where = f"contig {shown(contig.name)}, base {1 + _bases_before(contig, place):,}: "
    if len(content.split()) > 1:
        return RaggedLines(f"{where}a line has blanks between its bases", place)
    return RaggedLines(f"{where}a line has {len(content.rstrip()):,} bases in {end - place + 1:,} bytes, and those "
                       f"before it {contig.line_bases:,} in {contig.line_bytes:,}", place)


def _bases_before(contig, place):
    return (place - contig.offset) // contig.line_bytes * contig.line_bases


def make(file, path):
    """The contigs of a FASTA file, found by reading it as a whole.

    Parameters
    ----------
    file : PlainBytes
    path : str
        For messages.

    Raises
    ------
    InputError
        The file does not begin with a header, has two contigs of one name, or lines of a contig differ in length.
    """
    contigs, numbers = [], {}
    headers = list(_headers(file))
    if not headers or file.read(0, headers[0]).strip():
        raise InputError(f"{path}: not a FASTA file that can be indexed: it does not begin with a header (>)")
    for number, (header, end) in enumerate(zip(headers, [*headers[1:], file.size], strict=True), 1):
        name, offset = _read_header(file, header)
        if not name:
            raise InputError(f"{path}: the header of sequence {number} holds no name")
        if name in numbers:
            raise InputError(f"{path}: two sequences are named {shown(name)} (number {numbers[name]} and {number}); "
                             "names must be unique")
        numbers[name] = number
        try:
            contigs.append(_measured(file, name, offset, end))
            check_lines(file, contigs[-1])
        except RaggedLines as error:
            raise InputError(f"{path}, line {_line_number(file, error.place):,}: {error}; the lines of a contig must "
                             "be of one length: write them again, as with `seqkit seq -w 60`") from None
    return contigs


def _headers(file):
    """Places of all `>` at the start of a line."""
    before = _NEWLINE
    for start in range(0, file.size, CHUNK_BYTES):
        part = np.frombuffer(file.read(start, start + CHUNK_BYTES), np.uint8)
        for found in np.flatnonzero(part == _HEADER).tolist():
            if (part[found - 1] if found else before) == _NEWLINE:
                yield start + found
        before = part[-1]


def _measured(file, name, offset, end):
    """The contig whose bases lie in [offset, end), by the length of its first line."""
    stop = _end_of_bases(file, offset, end)
    if stop == offset:
        return Contig(name, 0, offset, 0, 0)
    newline = file.find(b"\n", offset, end)
    line_bases = len(file.read(offset, newline).rstrip())
    if not line_bases:
        raise RaggedLines(f"contig {shown(name)} begins with a blank line", offset)
    line_bytes = newline + 1 - offset
    n_full, rest = divmod(stop - offset, line_bytes)
    contig = Contig(name, n_full * line_bases + min(rest, line_bases), offset, line_bases, line_bytes)
    if contig.end != stop:
        check_lines(file, contig)  # finds the first line that is at fault, unless it is the last
        raise _ragged(file, contig, offset + (contig.length - 1) // line_bases * line_bytes)
    return contig


def _end_of_bases(file, start, end):
    """Place after the last byte in [start, end) that is no blank."""
    while end > start:
        first = max(start, end - 4096)
        part = file.read(first, end).rstrip()
        if part:
            return first + len(part)
        end = first
    return start


def _line_number(file, place):
    """Number of the line that holds a byte, from 1."""
    return 1 + sum(file.read(first, min(first + CHUNK_BYTES, place)).count(b"\n")
                   for first in range(0, place, CHUNK_BYTES))


def shown(name):
    """A name as text, with what is no UTF-8 escaped."""
    return name.decode("utf-8", "backslashreplace")
