"""The array of local causal effects: written by blocks of loci with a record of checksums, read by parts."""

import json
import os
import shutil
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path

import dask.array
import numpy as np
import xarray as xr
import zarr

from ..errors import InputError
from . import record
from .reading import open_zarr
from .variables import LOCAL_COORDINATES, LOCAL_DATA, OF_MEMBERS, Variable

FORMAT = "kipoi_deepmr local effects"
FORMAT_VERSION = 1
BLOCK_PAIRS = 8_000_000  # local effects that are held until their block is written
CHUNK_PAIRS = 500_000
GROUP_PAIRS = 14_000_000  # local effects, of all loci, that a reader holds at a time
LARGEST_COUNT = np.iinfo(np.uint16).max


class Shape:
    """How large an array of local effects is and how it is cut.

    Parameters
    ----------
    methods : sequence of str
    n_loci : int
    exposures, outcomes : sequences of str
    n_members : int
        Whose estimates are stored; 0 for none.
    """

    def __init__(self, methods, n_loci, exposures, outcomes, n_members):
        self.sizes = {"method": len(methods), "locus": n_loci, "exposure": len(exposures), "outcome": len(outcomes),
                      "member": n_members}
        self.methods, self.exposures, self.outcomes = list(methods), list(exposures), list(outcomes)

    @property
    def variables(self):
        """Declared variables that the array has."""
        return [v for v in LOCAL_DATA if self.sizes["member"] or v.name not in OF_MEMBERS]

    @cached_property
    def block(self):
        """Loci a block."""
        of_locus = self.sizes["method"] * self.sizes["exposure"] * self.sizes["outcome"]
        return int(np.clip(BLOCK_PAIRS // of_locus, 1, self.sizes["locus"]))

    @cached_property
    def group(self):
        """Exposures a chunk."""
        of_chunk = CHUNK_PAIRS // (self.block * self.sizes["outcome"])
        of_group = GROUP_PAIRS // (self.sizes["locus"] * self.sizes["outcome"])
        return int(np.clip(min(of_chunk, of_group), 1, self.sizes["exposure"]))

    @property
    def n_bytes(self):
        """Bytes of all values, uncompressed."""
        return sum(np.dtype(v.dtype).itemsize * int(np.prod([self.sizes[d] for d in v.dims])) for v in self.variables)

    def shape(self, variable):
        """Shape of a variable."""
        return tuple(self.sizes[d] for d in variable.dims)

    def chunks(self, variable):
        """Shape of its chunks."""
        cut = {"method": 1, "locus": self.block, "exposure": self.group}
        return tuple(min(cut.get(d, self.sizes[d]), self.sizes[d]) for d in variable.dims)

    def files(self, first):
        """Names of the files of the block that begins with a locus."""
        return [name for variable in self.variables for name in self.files_of(variable, [first // self.block])]

    def files_of(self, variable, blocks, groups=None):
        """Names of a variable's files, of blocks of loci and groups of exposures by number (default: all groups)."""
        groups = range(-(-self.sizes["exposure"] // self.group)) if groups is None else groups
        numbers = {"locus": blocks, "exposure": groups, "method": range(self.sizes["method"])}
        parts = [""]
        for dim in variable.dims:
            parts = [f"{part}.{i}" for part in parts for i in numbers.get(dim, [0])]
        return [f"{variable.name}/{part[1:]}" for part in parts]


def blocks_of(n_loci, size):
    """Slices of `size` loci."""
    return [slice(i, min(i + size, n_loci)) for i in range(0, n_loci, size)]


class LocalWriter:
    """An array of local effects while it is written; one of the same settings that is not finished is completed.

    Parameters
    ----------
    path : str
        The unfinished array.
    shape : Shape
    effects : xarray.Dataset
        Whose loci it has.
    settings : dict
        What decides its numbers, as JSON.
    attributes : dict
        What else it says of itself.
    finished : str, optional
        A finished array of the same settings there is taken over, so that only what is damaged is written again.
    """

    def __init__(self, path, shape, effects, settings, attributes, finished=None):
        self.path, self.shape, self._done = path, shape, set()
        settings = json.loads(json.dumps(settings))
        if finished and not os.path.exists(path) and (record.head_of(finished) or {}).get("settings") == settings:
            os.replace(finished, path)
        n_loci = shape.sizes["locus"]
        if not self._is_resumed(settings, n_loci):
            shutil.rmtree(path, ignore_errors=True)
            self._create(effects, {"format": FORMAT, "format_version": FORMAT_VERSION, **attributes})
            names = sorted(str(chunk.relative_to(path)) for v in LOCAL_COORDINATES
                           for chunk in Path(path, v.name).glob("[0-9]*"))
            record.append(path, {"format": record.FORMAT, "loci": n_loci, "block": shape.block, "settings": settings,
                                 "files": record.checksums(path, [*record.metadata(path), *names])})
            self._done = set()

    def _is_resumed(self, settings, n_loci):
        if not os.path.isfile(os.path.join(self.path, record.RECORD)):
            return False
        entries, n_bytes = record.read(self.path)
        if not entries or record.damaged_head(self.path, entries[0]) or (settings, n_loci, self.shape.block) != tuple(
                entries[0][name] for name in ("settings", "loci", "block")):
            return False
        record.cut(self.path, n_bytes)
        self._done = {entry["first"] for entry in entries[1:] if not record.damaged(self.path, entry)
                      and set(entry["files"]) == set(self.shape.files(entry["first"]))}
        return True

    def _create(self, effects, attributes):
        shape = self.shape
        names = {"method": shape.methods, "exposure": shape.exposures, "outcome": shape.outcomes}
        coords = {v.name: (v.dims, np.asarray(names.get(v.name, effects.get(v.name)), dtype=None), _told(v))
                  for v in LOCAL_COORDINATES}
        data, encoding = {}, {}
        for v in shape.variables:
            empty = dask.array.zeros(shape.shape(v), dtype=v.dtype, chunks=-1)  # a shape, never computed
            data[v.name], encoding[v.name] = (v.dims, empty, _told(v)), {"chunks": shape.chunks(v)}
        template = xr.Dataset(data, coords, attributes)
        template.to_zarr(self.path, mode="w", compute=False, zarr_format=2, encoding=encoding, write_empty_chunks=True)

    @property
    def blocks(self):
        """Slices of loci that are still to be written."""
        return [each for each in blocks_of(self.shape.sizes["locus"], self.shape.block) if each.start not in self._done]

    def add(self, entry):
        """Take note of a block that `write_block` has written."""
        record.append(self.path, entry)
        self._done.add(entry["first"])

    def finish(self):
        """Put the record in the order of loci."""
        head, *entries = record.read(self.path)[0]
        latest = {entry["first"]: entry for entry in entries}
        record.write(self.path, [head, *(latest[first] for first in sorted(latest))])


def _told(variable: Variable):
    return {"description": variable.meaning, "units": variable.unit}


def write_block(path, shape, first, data, reasons):
    """Write one block, in any process, and return what the record says of it.

    Parameters
    ----------
    path : str
    shape : Shape
    first : int
        The block's first locus.
    data : dict of str to array
        The variables of `Shape.variables`, at the block's loci.
    reasons : list of str
    """
    names = shape.files(first)
    for name in names:  # zarr 2 fills up the last block, which is shorter, with what it reads of a chunk
        Path(path, name).unlink(missing_ok=True)
    with zarr.config.set({"array.write_empty_chunks": True}) if hasattr(zarr, "config") else nullcontext():
        group = zarr.open_group(path, mode="r+")
        for variable in shape.variables:  # a chunk of zeros that is not written may be anything to zarr 2
            values, axis = data[variable.name], variable.dims.index("locus")
            place = [slice(None)] * values.ndim
            place[axis] = slice(first, first + values.shape[axis])
            group[variable.name][tuple(place)] = values
    return {"first": first, "files": record.checksums(path, names), "reasons": reasons}


class LocalEffects:
    """Local causal effects of all pairs, read from disk by parts.

    Parameters
    ----------
    path : str
        The array.

    Raises
    ------
    InputError
        There is no such array, or it is damaged.
    """

    def __init__(self, path):
        self.path = path
        if not os.path.isdir(path):
            raise InputError(f"{path}: no such array of local effects")
        if not os.path.isfile(os.path.join(path, record.RECORD)):
            raise InputError(f"{path}: an array of local effects without its record ({record.RECORD}), such as another "
                             "program's copy, which cannot be checked; the same `estimate` or `run` writes it again")
        head = record.head_of(path)
        for name in record.damaged_head(path, head) if head else [record.RECORD]:
            raise self._damaged(name)
        self._opened = open_zarr(path)
        self.attrs = self._opened.attrs
        if self.attrs.get("format") != FORMAT or self.attrs.get("format_version") != FORMAT_VERSION:
            raise InputError(f"{path}: not an array of local effects that this kipoi_deepmr reads")
        self.methods, self.exposures, self.outcomes = (
            [str(name) for name in self._opened[role].values] for role in ("method", "exposure", "outcome"))
        self.n_members = self._opened.sizes.get("member", 0)
        self.shape = Shape(self.methods, self._opened.sizes["locus"], self.exposures, self.outcomes, self.n_members)
        # as it was cut when it was written
        self.shape.block, self.shape.group = head["block"], self._opened["estimate"].encoding["chunks"][2]
        self._checked = set()
        if set(self._entries) != set(range(-(-self.n_loci // self.shape.block))):
            raise self._damaged(record.RECORD)

    def _damaged(self, name):
        return InputError(f"{os.path.join(self.path, name)}: damaged since it was written (its CRC-32 is not that on "
                          "record); the same `estimate` or `run` as before estimates that block of loci again")

    @property
    def n_loci(self):
        """How many loci there are."""
        return self.shape.sizes["locus"]

    @property
    def n_pairs(self):
        """How many cells are pairs of two different marks."""
        return len(self.exposures) * len(self.outcomes) - len(set(self.exposures) & set(self.outcomes))

    def locus(self, name):
        """A column of the loci: chrom, start, end, strand or name."""
        return self._opened[name].values

    def groups(self, most=None):
        """Slices of exposures that are read at a time, without those that have no pair.

        Parameters
        ----------
        most : int, optional
            Local effects of a group, if one exposure has no more; by default groups are as they are stored.
        """
        size = self.shape.group
        if most is not None:
            size = max(1, most // (self.n_loci * len(self.methods) * len(self.outcomes)))
        of_one = set(self.outcomes) if len(self.outcomes) == 1 else None
        return [each for each in blocks_of(len(self.exposures), size) if set(self.exposures[each]) != of_one]

    def read(self, name, loci=slice(None), exposures=slice(None), outcomes=slice(None), member=None):
        """Values of a variable, of one member if it has those: (method, locus, exposure, outcome)."""
        self._check(name, loci, exposures)
        variable = self._opened[name] if member is None else self._opened[name].isel(member=member)
        return variable.isel(locus=loci, exposure=exposures, outcome=outcomes).values

    def _check(self, name, loci, exposures):
        """Compare the files of a part with their checksums, once each; `InputError` names one that is damaged."""
        blocks = np.unique(np.arange(self.n_loci)[loci] // self.shape.block).tolist()
        groups = np.unique(np.arange(len(self.exposures))[exposures] // self.shape.group).tolist()
        variable = next(v for v in LOCAL_DATA if v.name == name)
        for block in blocks:
            names = [file for file in self.shape.files_of(variable, [block], groups) if file not in self._checked]
            known = self._entries[block]["files"]
            for file, crc in record.checksums(self.path, names).items():
                if crc != known.get(file):
                    raise self._damaged(file)
            self._checked.update(names)

    def is_pair(self, exposures=slice(None)):
        """(exposure, outcome) bool: which cells are pairs of two different marks."""
        return np.array(self.exposures, object)[exposures, None] != np.array(self.outcomes, object)

    def reasons(self, codes, loci):
        """Texts of reason codes (method, locus, ...), of loci by number."""
        texts = np.full(codes.shape, "", dtype=object)
        for position, locus in enumerate(loci):
            known = np.array(["", *self._entries[locus // self.shape.block].get("reasons", [])], dtype=object)
            texts[:, position] = known[codes[:, position]]
        return texts

    @cached_property
    def _entries(self):
        """What the record says of each block, by number."""
        return {entry["first"] // self.shape.block: entry for entry in record.read(self.path)[0][1:]}
