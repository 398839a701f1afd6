"""Intervals of BED and narrowPeak files."""

import gzip
import io
import os
import re
import zlib
from typing import NamedTuple

from ..errors import InputError

BELOW_ZERO = "start must be at least 0"

_OTHER_COMPRESSION = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
_FROM_ONE = {"seqnames": "R's GRanges", "abs_summit": "MACS"}  # columns of tables that count positions from 1
_WHOLE = re.compile(r"[+-]?\d+")


class Interval(NamedTuple):
    """One line of a BED file; `strand` is +, - or . (none given); `rest` holds the columns after the third."""

    chrom: str
    start: int
    end: int
    strand: str
    name: str
    line: int
    rest: tuple

    @property
    def size(self):
        """How many bases it covers."""
        return self.end - self.start


def read_bed(path, below_zero=False):
    """Intervals of a BED or narrowPeak file: plain, gzip or BGZF, whatever its name, or a pipe.

    Lines of `track` and `browser`, comments, blank lines and a row of column names are no intervals. Columns are
    separated by tabs or blanks. Bytes of names that are no UTF-8 are escaped (`\\xe9`).

    Parameters
    ----------
    path : str
    below_zero : bool
        Whether starts below 0 are taken.

    Returns
    -------
    list of Interval

    Raises
    ------
    InputError
        The file is missing, empty, or has a malformed line; the message names the line and its value.
    """
    intervals = []
    # a spreadsheet begins UTF-8 with a mark
    lines = io.TextIOWrapper(io.BytesIO(_unpacked(path)), encoding="utf-8-sig", errors="backslashreplace")
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line.strip() or line.startswith("#"):
            continue
        columns = line.split("\t")
        if len(columns) < 3:
            columns = line.split()
        if not (_is_for_browsers(columns) or not intervals and _names_columns(columns, f"{path}, line {number}")):
            intervals.append(_interval(columns, line, f"{path}, line {number}", number, below_zero))
    if not intervals:
        raise InputError(f"{path}: the BED file is empty: it holds no interval")
    return intervals


_of_pipes = {}  # what each pipe gave, which can be read once only: by its number and the device's


def content_of(path):
    """The bytes of a BED file as they are stored; a pipe is read the first time and remembered.

    Raises
    ------
    InputError
        There is no such file, or it is a folder.
    """
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder, not a BED file")
    if not os.path.exists(path):
        raise InputError(f"{path}: no such BED file")
    if os.path.isfile(path):
        with open(path, "rb") as file:
            return file.read()
    status = os.stat(path)
    key = (status.st_dev, status.st_ino)
    if key not in _of_pipes:
        with open(path, "rb") as file:
            _of_pipes[key] = file.read()
    return _of_pipes[key]


def _unpacked(path):
    content = content_of(path)
    for start, name in _OTHER_COMPRESSION.items():
        if content.startswith(start):
            raise InputError(f"{path}: not a BED file: it is compressed by {name}; unpack it, or use gzip")
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, zlib.error, EOFError) as error:
            raise InputError(f"{path}: not a BED file: its gzip is damaged or cut off ({error})") from error
    if b"\0" in content:
        raise InputError(f"{path}: not a BED file: it holds zero bytes, as UTF-16 and binary files do; BED is plain "
                         "text (UTF-8)")
    return content


def _is_for_browsers(columns):
    """Whether a line is none of intervals but of settings for genome browsers, and not of a contig of that name."""
    words = columns[0].split()
    return bool(words) and words[0] in ("track", "browser") and not (
        len(columns) > 2 and words == columns[:1] and all(_WHOLE.fullmatch(bound.strip()) for bound in columns[1:3]))


def _names_columns(columns, where):
    """Whether a line is a row of column names.

    Raises
    ------
    InputError
        Of a table that counts positions from 1.
    """
    names = [name.strip().strip('"').lower() for name in columns]
    if len(names) < 3 or "start" not in names[1] or not ("end" in names[2] or "stop" in names[2]):
        return False
    for name, program in _FROM_ONE.items():
        if name in names:
            raise InputError(f"{where}: this is a table of {program}, whose positions count from 1, not BED (from 0): "
                             "export it as BED")
    return True


def _interval(columns, line, where, number, below_zero):
    if len(columns) < 3:
        raise InputError(f"{where}: a BED line needs chrom, start and end, separated by tabs: {_short(line)}")
    chrom, *bounds = columns[:3]
    try:
        start, end = (int(b) for b in bounds)
    except ValueError:
        raise InputError(f"{where}: start and end must be whole numbers: {_short(line)}") from None
    if start < 0 and not below_zero:
        raise InputError(f"{where}: {BELOW_ZERO} and less than end: {_short(line)}")
    if start >= end:
        raise InputError(f"{where}: start must be less than end: {_short(line)}")
    strand = columns[5] if len(columns) > 5 and columns[5].strip() else "."
    if strand not in ("+", "-", "."):
        raise InputError(f"{where}: the strand (column 6) must be +, - or ., not {strand!r}")
    name = columns[3] if len(columns) > 3 and columns[3] not in ("", ".") else f"{chrom}:{start}-{end}"
    return Interval(chrom, start, end, strand, name, number, tuple(columns[3:]))


def _short(line):
    return repr(line if len(line) <= 200 else line[:200] + "...")
