"""The Dataset of effects: every variable declared once; create, write by blocks, open, check.

On disk it is a Zarr store of format 2, the one that both zarr 2 (Python 3.10) and zarr 3 read and write.
"""

import contextlib
import json
import math
import os
import shutil
import zlib
from pathlib import Path
from typing import NamedTuple

import dask.array
import filelock
import numpy as np
import xarray as xr

from .errors import InputError

FORMAT = "kipoi_deepmr effects"
FORMAT_VERSION = 1
PARTIAL_SUFFIX = ".partial"
LOCK_SUFFIX = ".lock"
RECORD = "completed.jsonl"  # of an unfinished store: its blocks that are safely on disk
RECORD_FORMAT = 1
CHUNK_BYTES = 1_000_000  # of member_effect: what is lost at most when a run is killed, so not much
MAX_LOCI_PER_CHUNK = 64
LETTER_BYTES = 0.75  # measured: zstd on random letters of four bytes each
FILE_BYTES = 4096  # that a file takes beyond its contents, at most


class Variable(NamedTuple):
    """Name, dimensions, dtype, unit and meaning of one variable of the Dataset."""

    name: str
    dims: tuple
    dtype: str
    unit: str
    meaning: str


COORDINATES = (
    Variable("chrom", ("locus",), "U", "", "contig, as the FASTA names it"),
    Variable("start", ("locus",), "int64", "bp", "first base of the locus on the forward strand, 0-based"),
    Variable("end", ("locus",), "int64", "bp", "one past the last base of the locus"),
    Variable("strand", ("locus",), "U", "", "strand that the model sees: + or -"),
    Variable("name", ("locus",), "U", "", "name of the locus"),
    Variable("member", ("member",), "U", "", "name of the ensemble member"),
    Variable("position", ("variant",), "int64", "bp", "0-based position in the locus as the model sees it"),
    Variable("mark", ("mark",), "U", "", "name of the mark"),
)

DATA = (
    Variable("effect", ("locus", "variant", "mark"), "float32", "unit of the mark",
             "mean over members of mutant minus reference"),
    Variable("effect_se", ("locus", "variant", "mark"), "float32", "unit of the mark",
             "standard error of `effect`: standard deviation over members of mutant minus reference"),
    Variable("reference", ("locus", "member", "mark"), "float32", "unit of the mark",
             "prediction of the unmutated locus"),
    Variable("member_effect", ("locus", "member", "variant", "mark"), "float32", "unit of the mark",
             "mutant minus reference of one member"),
    Variable("ref_base", ("locus", "variant"), "U1", "", "base before the mutation, on the strand that the model sees"),
    Variable("alt_base", ("locus", "variant"), "U1", "", "base after the mutation, on the strand that the model sees"),
)

OPTIONAL = ("member_effect",)


def dataset(loci, marks, members, data, attributes=None):
    """A Dataset of effects in memory.

    Parameters
    ----------
    loci : kipoi_deepmr.loci.Loci
        The n loci, all of one length L.
    marks, members : sequences of str
    data : dict of str to array
        The variables of `DATA`, with n loci, 3 L variants; those in `OPTIONAL` may be missing.
    attributes : dict, optional

    Returns
    -------
    xarray.Dataset
        Dimensions locus, member, variant, mark.

    Raises
    ------
    ValueError
        A variable is missing, unknown or has another shape than declared.
    """
    length = loci.sequences.shape[1]
    coordinates = {
        "chrom": loci.chrom, "start": loci.start, "end": loci.end, "strand": loci.strand, "name": loci.name,
        "member": np.asarray(members, dtype="U"), "position": np.repeat(np.arange(length), 3),
        "mark": np.asarray(marks, dtype="U"),
    }
    known = {v.name for v in DATA}
    if set(data) - known or known - set(data) - set(OPTIONAL):
        raise ValueError(f"variables {sorted(data)} given, {sorted(known)} declared")
    variables = {v.name: (v.dims, data[v.name], _attributes(v)) for v in DATA if v.name in data}
    coords = {v.name: (v.dims, coordinates[v.name], _attributes(v)) for v in COORDINATES}
    return xr.Dataset(variables, coords, {"format": FORMAT, "format_version": FORMAT_VERSION, **(attributes or {})})


def _attributes(variable):
    described = {"description": variable.meaning, "units": variable.unit}
    return {key: value for key, value in described.items() if value}


def loci_per_block(n_members, n_variants, n_marks):
    """How many loci share a chunk, so that a chunk of `member_effect` is about a megabyte."""
    return int(np.clip(CHUNK_BYTES // (4 * n_members * n_variants * n_marks), 1, MAX_LOCI_PER_CHUNK))


def bytes_on_disk(n_loci, length, n_members, n_marks, keep_members=True):
    """Most bytes that a store takes: its numbers as if they did not compress, its letters as measured.

    Parameters
    ----------
    n_loci, length, n_members, n_marks : int
    keep_members : bool
        As for `Writer`.
    """
    sizes = {"locus": n_loci, "variant": 3 * length, "member": n_members, "mark": n_marks}
    n_blocks = math.ceil(n_loci / loci_per_block(n_members, 3 * length, n_marks))
    total = 0
    for variable in DATA:
        if keep_members or variable.name not in OPTIONAL:
            each = LETTER_BYTES if variable.dtype == "U1" else np.dtype(variable.dtype).itemsize
            total += each * math.prod(sizes[d] for d in variable.dims) + n_blocks * FILE_BYTES
    return int(total)


def bytes_left_by_an_earlier_run(path):
    """Bytes of the unfinished store of `path`."""
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(path + PARTIAL_SUFFIX) for name in names)


@contextlib.contextmanager
def locked(path):
    """Hold the right to write to `path`, which no two processes have at once; a process that died does not hold it.

    Raises
    ------
    InputError
        Another process holds it, or the folder cannot be written.
    """
    lock = filelock.FileLock(path + LOCK_SUFFIX, timeout=0)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise InputError(f"{path}: another run is writing there; wait for its end, or choose another name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        # while it is held, so that nobody's lock is removed
        with contextlib.suppress(FileNotFoundError):
            os.remove(lock.lock_file)
        lock.release()


class Writer:
    """Writes a store block by block under a temporary name, and renames it when it is complete.

    A block is recorded, with a checksum of each of its files, once it is safely on disk. A temporary store that an
    earlier run of the same settings left is gone on with: blocks on record whose files are whole are not written again.

    Parameters
    ----------
    path : str
        The store to be; until `close` it is `path + ".partial"`.
    loci, marks, members, attributes
        As for `dataset`; the attribute `settings` tells whether two runs are the same.
    keep_members : bool
        Whether the store holds `member_effect`.
    afresh : bool
        Write every block, whatever an earlier run left.

    Attributes
    ----------
    dropped : dict of int to str
        Loci without finite effects, whose effects are NaN, and what is wrong with them; in the order of loci.

    Raises
    ------
    InputError
        An earlier run of other settings left its unfinished store there.
    """

    def __init__(self, path, loci, marks, members, attributes, keep_members=True, afresh=False):
        self.path = path
        self.partial = path + PARTIAL_SUFFIX
        n_variants = 3 * loci.sequences.shape[1]
        self.block = loci_per_block(len(members), n_variants, len(marks))
        self._loci, self._marks, self._members = loci, marks, members
        self._chunked = [v for v in DATA if keep_members or v.name not in OPTIONAL]
        self._done = {}  # first locus of each block on disk: its entry in the record
        if not afresh and os.path.exists(os.path.join(self.partial, RECORD)):
            self._check_settings(attributes)
            self._remove_fragments()
            self._done = self._whole_blocks()
        if not self._done:
            self._create(attributes, {"locus": len(loci), "member": len(members), "variant": n_variants,
                                      "mark": len(marks)})

    def _create(self, attributes, sizes):
        data, encoding = {}, {}
        for variable in self._chunked:
            shape = tuple(sizes[d] for d in variable.dims)
            data[variable.name] = dask.array.zeros(shape, dtype=variable.dtype, chunks=-1)  # a shape, never computed
            encoding[variable.name] = {"chunks": (min(self.block, sizes["locus"]), *shape[1:])}
        template = dataset(self._loci, self._marks, self._members, data, attributes)
        shutil.rmtree(self.partial, ignore_errors=True)
        template.to_zarr(self.partial, mode="w", compute=False, zarr_format=2, encoding=encoding)
        for folder, _, files in os.walk(self.partial):
            for name in files:
                _sync(os.path.join(folder, name))
        self._append_to_record({"format": RECORD_FORMAT})

    def _check_settings(self, attributes):
        old = xr.open_zarr(self.partial, chunks=None).attrs.get("settings", {})
        differing = differences(old, attributes.get("settings", {}))
        if differing:
            raise InputError(f"{self.partial}: an unfinished run of other settings ({'; '.join(differing[:3])}); "
                             "choose another name, or --overwrite")

    def _whole_blocks(self):
        """Entries of the recorded blocks whose files are as they were written, by their first loci."""
        head, *entries = self._read_record() or [{}]
        if head.get("format") != RECORD_FORMAT:
            return {}
        written = {entry["first"]: entry for entry in entries}
        return {first: entry for first, entry in written.items() if entry["files"] == self._checksums(first)}

    def _remove_fragments(self):
        """Zarr writes a chunk under another name first: what a killed run left of that."""
        for fragment in Path(self.partial).glob("*/*.partial"):
            fragment.unlink()

    def _read_record(self):
        """Entries of the record, up to the first that was not written whole, which is cut off."""
        entries, whole = [], 0
        with open(os.path.join(self.partial, RECORD), "rb+") as record:
            for line in record:
                try:
                    entries.append(json.loads(line if line.endswith(b"\n") else b""))
                except ValueError:
                    break
                whole += len(line)
            record.truncate(whole)
        return entries

    def _checksums(self, first):
        """CRC-32 of the files of the block that begins with a locus; a chunk of zeros has no file."""
        sums = {}
        for variable in self._chunked:
            name = ".".join([str(first // self.block), *("0" for _ in variable.dims[1:])])
            path = os.path.join(self.partial, variable.name, name)
            if os.path.exists(path):
                with open(path, "rb") as chunk:
                    sums[f"{variable.name}/{name}"] = zlib.crc32(chunk.read())
        return sums

    def _append_to_record(self, entry):
        with open(os.path.join(self.partial, RECORD), "a", encoding="utf-8") as record:
            record.write(json.dumps(entry) + "\n")
            record.flush()
            os.fsync(record.fileno())

    @property
    def dropped(self):
        entries = [entry.get("dropped", {}) for _, entry in sorted(self._done.items())]
        return {int(index): what for entry in entries for index, what in entry.items()}

    @property
    def n_done(self):
        """How many loci are on disk."""
        n = len(self._loci)
        return sum(min(first + self.block, n) - first for first in self._done)

    def blocks(self):
        """Slices of loci that are still to be written, one a chunk, in order."""
        starts = range(0, len(self._loci), self.block)
        return [slice(i, min(i + self.block, len(self._loci))) for i in starts if i not in self._done]

    def write(self, block, data, dropped=None):
        """Write the variables of one block of loci.

        Parameters
        ----------
        block : slice
            One of `blocks`.
        data : dict of str to array
        dropped : dict of int to str, optional
            Loci of the block without finite effects, by their number in it, and what is wrong with them.
        """
        piece = dataset(self._loci[block], self._marks, self._members, data)
        piece.drop_vars(piece.coords).to_zarr(self.partial, region={"locus": block})
        files = self._checksums(block.start)
        for name in files:
            _sync(os.path.join(self.partial, name))
        entry = {"first": block.start, "files": files}
        if dropped:
            entry["dropped"] = {str(block.start + i): what for i, what in dropped.items()}
        self._append_to_record(entry)
        self._done[block.start] = entry

    def close(self, attributes=None):
        """Give the complete store its name; a store of that name is replaced.

        `attributes` (dict) are set before, in place of those of the same names.
        """
        if attributes:
            self._set_attributes(attributes)
        shutil.rmtree(self.path, ignore_errors=True)
        os.remove(os.path.join(self.partial, RECORD))
        os.replace(self.partial, self.path)
        _sync(os.path.dirname(os.path.abspath(self.path)))

    def _set_attributes(self, attributes):
        for name in (".zattrs", ".zmetadata"):
            path = os.path.join(self.partial, name)
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            (content if name == ".zattrs" else content["metadata"][".zattrs"]).update(attributes)
            with open(path + ".tmp", "w", encoding="utf-8") as file:
                json.dump(content, file, indent=4)
            _sync(path + ".tmp")
            os.replace(path + ".tmp", path)

    def discard(self):
        """Remove what was written."""
        shutil.rmtree(self.partial, ignore_errors=True)


def differences(old, new):
    """Settings that differ between two runs, as texts `name: old -> new`."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return [f"{key}: {_short(old.get(key))} -> {_short(new.get(key))}" for key in keys]


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _sync(path):
    """Wait until a file or folder is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_effects(path):
    """Open a store without loading it.

    Returns
    -------
    xarray.Dataset
        Values are read from disk when a slice of them is asked for.

    Raises
    ------
    InputError
        No such store, not a store of effects, or one of another format version.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such effects store")
    try:
        opened = xr.open_zarr(path, chunks=None)
    except Exception as error:
        raise InputError(f"{path}: not a Zarr store ({error})") from error
    if opened.attrs.get("format") != FORMAT:
        raise InputError(f"{path}: a Zarr store, but not one of DeepMR effects")
    version = opened.attrs.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: effects format version {version!r}; this kipoi_deepmr reads {FORMAT_VERSION}")
    missing = [v.name for v in (*COORDINATES, *DATA) if v.name not in opened and v.name not in OPTIONAL]
    if missing:
        raise InputError(f"{path}: incomplete effects store, without {', '.join(missing)}")
    return opened
