"""The Dataset of effects: every variable declared once; create, write by blocks, open, check.

On disk it is a Zarr store of format 2, the one that both zarr 2 (Python 3.10) and zarr 3 read and write.
"""

import json
import os
import shutil
import zlib
from typing import NamedTuple

import dask.array
import numpy as np
import xarray as xr

from .errors import InputError

FORMAT = "kipoi_deepmr effects"
FORMAT_VERSION = 1
PARTIAL_SUFFIX = ".partial"
RECORD = "completed.jsonl"  # of an unfinished store: its blocks that are safely on disk
RECORD_FORMAT = 1
CHUNK_BYTES = 1_000_000  # of member_effect: what is lost at most when a run is killed, so not much
MAX_LOCI_PER_CHUNK = 64


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
        self._done = set()
        if not afresh and os.path.exists(os.path.join(self.partial, RECORD)):
            self._check_settings(attributes)
            self._done = self._whole_blocks()
        if not self._done:
            self._create(attributes, {"locus": len(loci), "member": len(members), "variant": n_variants,
                                      "mark": len(marks)})

    def _create(self, attributes, sizes):
        data, encoding = {}, {}
        for variable in self._chunked:
            shape = tuple(sizes[d] for d in variable.dims)
            chunks = (self.block, *shape[1:])
            data[variable.name] = dask.array.zeros(shape, dtype=variable.dtype, chunks=chunks)
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
        """First loci of the recorded blocks whose files are as they were written."""
        with open(os.path.join(self.partial, RECORD), encoding="utf-8") as record:
            lines = record.read().split("\n")[:-1]  # what follows the last line end was cut off in writing
        head, *entries = map(json.loads, lines) if lines else [{}]
        if head.get("format") != RECORD_FORMAT:
            return set()
        written = {entry["first"]: entry["files"] for entry in entries}
        return {first for first, files in written.items() if files == self._checksums(first)}

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
    def n_done(self):
        """How many loci are on disk."""
        n = len(self._loci)
        return sum(min(first + self.block, n) - first for first in self._done)

    def blocks(self):
        """Slices of loci that are still to be written, one a chunk, in order."""
        starts = range(0, len(self._loci), self.block)
        return [slice(i, min(i + self.block, len(self._loci))) for i in starts if i not in self._done]

    def write(self, block, data):
        """Write the variables of one block of loci (a slice from `blocks`)."""
        piece = dataset(self._loci[block], self._marks, self._members, data)
        own = [name for name, variable in piece.variables.items() if "locus" not in variable.dims]
        piece.drop_vars(own).to_zarr(self.partial, region={"locus": block})
        files = self._checksums(block.start)
        for name in files:
            _sync(os.path.join(self.partial, name))
        self._append_to_record({"first": block.start, "files": files})
        self._done.add(block.start)

    def close(self):
        """Give the complete store its name; a store of that name is replaced."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.remove(os.path.join(self.partial, RECORD))
        os.replace(self.partial, self.path)
        _sync(os.path.dirname(os.path.abspath(self.path)))

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
