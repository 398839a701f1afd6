"""The record of a store: which of its blocks are safely on disk, and a CRC-32 of each of their files.

A file of JSON lines in the store, each with a CRC-32 of itself. The first is about the settings, the metadata and the
coordinates, each other one about a block of loci. While the store is written a line is added once its block is on disk;
in a finished store they are in the order of loci.
"""

import json
import os
import re
import zlib
from pathlib import Path

RECORD = "completed.jsonl"
FORMAT = 3

# files below the store's own folder, whatever the record says
_FILE = re.compile(r"\w+/\d+(\.\d+)*|(\w+/)?(\.z(array|attrs|group|metadata)|zarr\.json)")
_METADATA = (".z*", "zarr.json", "*/.z*", "*/zarr.json")


def read(folder):
    """Entries of a record, up to the first that is not whole, and how many bytes these are.

    Returns
    -------
    entries : list of dict
        The first has the number of `loci`, how many make a `block`, and the coordinates' `files`; the others have the
        block's `first` locus, `files` and, if any were, the loci `dropped`. Empty for a record of another format.
    n_bytes : int
    """
    entries, n_bytes = [], 0
    with open(os.path.join(folder, RECORD), "rb") as lines:
        for line in lines:
            entry = _entry_of(line)
            if not _is_entry(entry, is_head=not entries):
                break
            entries.append(entry)
            n_bytes += len(line)
    return entries, n_bytes


def head_of(folder):
    """The first entry of a store's record; None if there is no record or its first line is damaged."""
    if not os.path.isfile(os.path.join(folder, RECORD)):
        return None
    entries, _ = read(folder)
    return entries[0] if entries else None


def other_format(folder):
    """The format of a record whose first line is whole JSON, but not an entry of this format; else None."""
    with open(os.path.join(folder, RECORD), "rb") as lines:
        try:
            number = json.loads(lines.readline()).get("format")
        except (ValueError, RecursionError, AttributeError):
            return None
    return None if number == FORMAT else number


def metadata(folder):
    """Sorted names of a store's files of metadata, those that do not belong there included."""
    return sorted({str(path.relative_to(folder)) for pattern in _METADATA for path in Path(folder).glob(pattern)})


def _line_of(entry):
    text = json.dumps(entry)
    return f'{text[:-1]}, "crc32": {zlib.crc32(text.encode())}}}\n'


def _entry_of(line):
    """The entry of a whole line, or None."""
    try:
        entry = json.loads(line if line.endswith(b"\n") else b"")
        crc = entry.pop("crc32")
        return entry if crc == zlib.crc32(json.dumps(entry).encode()) else None
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def _is_entry(entry, is_head):
    if not isinstance(entry, dict) or not isinstance(entry.get("files"), dict):
        return False
    if not all(_FILE.fullmatch(name) and (crc is None or type(crc) is int) for name, crc in entry["files"].items()):
        return False
    if is_head:
        numbers = entry.get("loci"), entry.get("block")
        return entry.get("format") == FORMAT and isinstance(entry.get("settings"), dict) and all(
            type(n) is int and n > 0 for n in numbers)
    dropped = entry.get("dropped", {})
    return type(entry.get("first")) is int and isinstance(dropped, dict) and all(
        index.isdecimal() and isinstance(what, str) for index, what in dropped.items())


def append(folder, entry):
    """Add an entry, which is on disk afterwards."""
    with open(os.path.join(folder, RECORD), "a", encoding="utf-8") as lines:
        lines.write(_line_of(entry))
        lines.flush()
        os.fsync(lines.fileno())


def cut(folder, n_bytes):
    """Leave the first bytes of a record."""
    os.truncate(os.path.join(folder, RECORD), n_bytes)


def write(folder, entries):
    """Replace a record."""
    path = os.path.join(folder, RECORD)
    with open(path + ".tmp", "w", encoding="utf-8") as lines:
        lines.writelines(map(_line_of, entries))
        lines.flush()
        os.fsync(lines.fileno())
    os.replace(path + ".tmp", path)


def checksums(folder, names):
    """CRC-32 of files below a folder, by name; None for one that is not there: Zarr writes no chunk that is all NaN."""
    return {name: _checksum(os.path.join(folder, name)) for name in names}


def _checksum(path):
    try:
        with open(path, "rb") as file:
            return zlib.crc32(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None


def damaged(folder, entry):
    """Names of an entry's files that are not as they were written."""
    return [name for name, crc in checksums(folder, entry["files"]).items() if crc != entry["files"][name]]


def damaged_head(folder, head):
    """Names of files of metadata and coordinates that are not as they were written, or that were added since."""
    return damaged(folder, head) + [name for name in metadata(folder) if name not in head["files"]]


def damaged_chunks(folder, loci=slice(None)):
    """Names of a finished store's files that are not as they were written.

    Parameters
    ----------
    folder : str
        The store; nothing is known of one that has no record.
    loci : slice
        Only the metadata, the coordinates, and blocks that hold some of these.

    Yields
    ------
    str
        `RECORD` itself, if it does not tell of every block.
    """
    if not os.path.isfile(os.path.join(folder, RECORD)):
        return
    entries, _ = read(folder)
    if not entries:
        yield RECORD
        return
    head, *blocks = entries
    written = {entry["first"]: entry for entry in blocks}
    first, last, _ = loci.indices(head["loci"])
    yield from damaged_head(folder, head)
    for start in range(first - first % head["block"], last, head["block"]):
        yield from damaged(folder, written[start]) if start in written else [RECORD]
