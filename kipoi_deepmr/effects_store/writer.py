"""Writes a store of effects block by block, and resumes what an earlier run left."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import dask.array

from ..errors import InputError, one_line
from . import record
from .reading import settings_of
from .variables import DECLARED, dataset, loci_per_block, shapes_of, version_of

PARTIAL_SUFFIX = ".partial"


def is_replaceable(path):
    """Whether there is nothing at `path`, an empty folder, or a Zarr store, even one that was never completed."""
    if not os.path.lexists(path):
        return True
    return os.path.isdir(path) and (not os.listdir(path) or os.path.isfile(os.path.join(path, ".zgroup")))


def bytes_left_by_an_earlier_run(path):
    """Bytes of the unfinished store of `path`."""
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(path + PARTIAL_SUFFIX) for name in names)


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
    replace : bool
        Replace what an unfinished run of other settings left, instead of refusing.

    Attributes
    ----------
    dropped : dict of int to str
        Loci without finite effects, whose effects are NaN, and what is wrong with them; in the order of loci.

    Raises
    ------
    InputError
        An earlier run of other settings left its unfinished store there.
    """

    def __init__(self, path, loci, marks, members, attributes, keep_members=True, replace=False):
        self.path = path
        self.partial = path + PARTIAL_SUFFIX
        self.block = loci_per_block(len(members), loci.n_variants, len(marks))
        self._loci, self._marks, self._members = loci, marks, members
        self._shapes = shapes_of(loci, len(marks), len(members), keep_members)
        self._declared = DECLARED[version_of(loci)]
        self._settings = json.loads(json.dumps(attributes.get("settings", {})))
        self._chunked = [v for v in self._declared.data if v.name in self._shapes]
        self._done = {}  # first locus of each block on disk: its entry in the record
        if os.path.exists(os.path.join(self.partial, record.RECORD)) and self._is_resumed(replace):
            self._remove_fragments()
            self._done = self._whole_blocks(attributes)
        if not self._done:
            self._create(attributes)

    def _create(self, attributes):
        if not is_replaceable(self.partial):
            raise InputError(f"{self.partial}: not one of our unfinished stores; move it, or choose another name")
        shutil.rmtree(self.partial, ignore_errors=True)
        self._write_template(self.partial, attributes)
        for folder, _, files in os.walk(self.partial):
            for name in files:
                _sync(os.path.join(folder, name))
        self._head = self._make_head()
        record.append(self.partial, self._head)

    def _make_head(self):
        names = sorted(str(chunk.relative_to(self.partial)) for v in self._declared.coordinates
                       for chunk in Path(self.partial, v.name).glob("[0-9]*"))
        return {"format": record.FORMAT, "loci": len(self._loci), "block": self.block, "settings": self._settings,
                "files": record.checksums(self.partial, [*record.metadata(self.partial), *names])}

    def _write_template(self, folder, attributes):
        """A store of coordinates and attributes, with nothing in its data variables."""
        data, encoding = {}, {}
        for variable in self._chunked:
            shape, dtype = self._shapes[variable.name], variable.dtype
            if dtype == "U":
                dtype = f"U{self._loci.plan.longest}"
            data[variable.name] = dask.array.zeros(shape, dtype=dtype, chunks=-1)  # a shape, never computed
            encoding[variable.name] = {"chunks": (min(self.block, len(self._loci)), *shape[1:])}
        template = dataset(self._loci, self._marks, self._members, data, attributes)
        # a chunk of zeros that is not written may be anything to zarr 2
        template.to_zarr(folder, mode="w", compute=False, zarr_format=2, encoding=encoding, write_empty_chunks=True)

    def _is_resumed(self, replace):
        """Whether the unfinished store is one of these settings; one of others is refused, or else replaced."""
        try:
            differing = differences(settings_of(self.partial), self._settings)
        except MemoryError:
            raise
        except Exception as error:
            if replace:
                return False
            raise InputError(f"{self.partial}: an unfinished run that cannot be read ({one_line(error)}); choose "
                             "another name, or --overwrite") from error
        if differing and not replace:
            raise InputError(f"{self.partial}: an unfinished run of other settings ({'; '.join(differing[:3])}); "
                             "choose another name, or --overwrite")
        return not differing

    def _whole_blocks(self, attributes):
        """Entries of the recorded blocks whose files are as they were written, by their first loci."""
        entries, n_bytes = record.read(self.partial)
        record.cut(self.partial, n_bytes)
        if not entries or (entries[0]["loci"], entries[0]["block"]) != (len(self._loci), self.block):
            return {}
        self._head, *blocks = entries
        if record.damaged_head(self.partial, self._head):
            self._restore_template(attributes)
            record.write(self.partial, [self._head, *blocks])
        written = {entry["first"]: entry for entry in blocks if entry["first"] % self.block == 0}
        return {first: entry for first, entry in written.items()
                if set(entry["files"]) == set(self._chunks(first)) and not record.damaged(self.partial, entry)}

    def _restore_template(self, attributes):
        for name in record.metadata(self.partial):
            os.remove(os.path.join(self.partial, name))
        with tempfile.TemporaryDirectory() as folder:
            self._write_template(folder, attributes)
            shutil.copytree(folder, self.partial, dirs_exist_ok=True)
        self._head = self._make_head()

    def _remove_fragments(self):
        """Zarr writes a chunk under another name first: what a killed run left of that."""
        for fragment in Path(self.partial).glob("*/*.partial"):
            fragment.unlink()

    def _chunks(self, first):
        """Names of the files of the block that begins with a locus."""
        return [f"{v.name}/{'.'.join([str(first // self.block), *('0' for _ in v.dims[1:])])}" for v in self._chunked]

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
        chunks = self._chunks(block.start)
        for name in chunks:  # zarr 2 fills up the last block, which is shorter, with what it reads of a chunk
            Path(self.partial, name).unlink(missing_ok=True)
        piece.drop_vars(piece.coords).to_zarr(self.partial, region={"locus": block})
        files = record.checksums(self.partial, chunks)
        for name, crc in files.items():
            if crc is not None:
                _sync(os.path.join(self.partial, name))
        entry = {"first": block.start, "files": files}
        if dropped:
            entry["dropped"] = {str(block.start + i): what for i, what in dropped.items()}
        record.append(self.partial, entry)
        self._done[block.start] = entry

    def close(self, attributes=None):
        """Give the complete store its name; a store of that name is replaced.

        `attributes` (dict) are set before, in place of those of the same names.
        """
        if attributes:
            self._set_attributes(attributes)
            self._head = self._make_head()
        record.write(self.partial, [self._head, *(entry for _, entry in sorted(self._done.items()))])
        shutil.rmtree(self.path, ignore_errors=True)
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


def reopen(path):
    """Make a finished store an unfinished one, for a `Writer` to write again those of its blocks that are damaged."""
    if not os.path.exists(path + PARTIAL_SUFFIX):
        os.replace(path, path + PARTIAL_SUFFIX)


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
