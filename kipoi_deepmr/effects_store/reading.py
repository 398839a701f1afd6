"""Opens a store of effects; says what is wrong with one that is none, or that the disk has damaged."""

import json
import os
from pathlib import Path

import numpy as np
import xarray as xr

from ..errors import InputError, one_line
from . import record
from .variables import COORDINATES, DATA, FORMAT, FORMAT_VERSION, OPTIONAL

BYTES_AT_A_TIME = 16_000_000
LETTERS = ("ref_base", "alt_base")
METADATA = (".zmetadata", "zarr.json", "*/.zarray", "*/zarr.json")
ATTRIBUTES = {"settings": dict, "dropped": dict, "fasta_file": (str, type(None))}  # those that are read


def open_effects(path):
    """Open a store without loading it.

    Returns
    -------
    xarray.Dataset
        Values are read from disk when a slice of them is asked for; `check_chunks` says whether they are what was
        written.

    Raises
    ------
    InputError
        No such store, not a store of effects, or one of another format version.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such effects store")
    opened = open_zarr(path)
    if opened.attrs.get("format") != FORMAT:
        raise InputError(f"{path}: a Zarr store, but not one of DeepMR effects")
    version = opened.attrs.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: effects format version {version!r}; this kipoi_deepmr reads {FORMAT_VERSION}")
    _check_declared(path, opened)
    return opened


def open_zarr(path):
    """Open any Zarr store whose reading runs no code of others; `InputError` for whatever else is there.

    numcodecs has a codec `pickle`, and what is unpickled can do anything; xarray reads coordinates as soon as it opens.
    """
    try:
        for name in METADATA:
            for file in Path(path).glob(name):
                if _names_pickle(json.loads(file.read_bytes())):
                    raise InputError(f"{path}: {file.relative_to(path)} has a codec pickle, which could run any code; "
                                     "such a store is not read")
        return xr.open_zarr(path, chunks=None)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a Zarr store ({one_line(error)})") from error


def _names_pickle(tree):
    """Whether metadata, but for attributes, name a codec pickle, under whatever key Zarr may look."""
    if isinstance(tree, dict):
        return any(key in ("id", "name", "object_codec_id") and "pickle" in str(value).lower() or _names_pickle(value)
                   for key, value in tree.items() if not key.endswith((".zattrs", "attributes")))
    return isinstance(tree, list) and any(map(_names_pickle, tree))


def _check_declared(path, opened):
    """Raise `InputError` unless variables and attributes are as declared."""
    known = [v for v in (*COORDINATES, *DATA) if v.name in opened or v.name not in OPTIONAL]
    missing = [v.name for v in known if v.name not in opened]
    if missing:
        raise InputError(f"{path}: incomplete effects store, without {', '.join(missing)}")
    for variable in known:
        found, kind = opened[variable.name], np.dtype(variable.dtype).kind
        if found.dims != variable.dims or (found.dtype.kind != kind and not (kind == "U" and found.dtype.kind in "OT")):
            over = ", ".join(map(str, found.dims))
            raise InputError(f"{path}: {variable.name} has dtype {found.dtype} and dimensions ({over}); they should be "
                             f"{variable.dtype} and ({', '.join(variable.dims)})")
    for name, size in opened.sizes.items():
        if not size:
            raise InputError(f"{path}: effects of no {name}")
    for name, kind in ATTRIBUTES.items():
        if name in opened.attrs and not isinstance(opened.attrs[name], kind):
            raise InputError(f"{path}: its attribute {name} is not one that DeepMR writes: {opened.attrs[name]!r:.60}")


def ddof_of(effects, default=1):
    """The ddof of a Dataset's standard errors: the members' number less it divides their variance."""
    return effects.attrs.get("settings", effects.attrs).get("ddof", default)


def check_chunks(path, loci=slice(None)):
    """Raise `InputError` if a store's files are not what was written.

    They are compared with the CRC-32 on record. A store without a record, such as a copy that xarray has made, is read
    once instead: what its compression notices is all that can be known.

    Parameters
    ----------
    path : str
    loci : slice
        Only these.
    """
    if os.path.isfile(os.path.join(path, record.RECORD)):
        for name in record.damaged_chunks(path, loci):
            raise InputError(f"{os.path.join(path, name)}: damaged since it was written (its CRC-32 is not that on "
                             "record); the same `predict` or `run` as before computes that block of loci again")
        return
    effects = open_effects(path)
    for variable in (*COORDINATES, *DATA):
        if variable.name in effects:
            _check_readable(path, effects[variable.name], loci)
    _check_places(path, effects)


def _check_readable(path, values, loci):
    by_locus = "locus" in values.dims
    first, last, _ = loci.indices(len(values)) if by_locus else (0, 1, 1)
    step = max(1, BYTES_AT_A_TIME * len(values) // values.nbytes) if by_locus else 1
    for start in range(first, last, step):
        try:
            piece = (values[start:min(start + step, last)] if by_locus else values).values
            if piece.dtype.kind == "U" and values.name not in LETTERS:
                piece.tolist()  # fails for numbers that are no characters
        except Exception as error:
            raise InputError(f"{path}: {values.name} cannot be read ({one_line(error)})") from error
        if values.name in LETTERS and not np.isin(piece, list("ACGT")).all():
            raise InputError(f"{path}: {values.name} holds letters other than A, C, G and T")


def _check_places(path, effects):
    start, end, strand, position = (effects[name].values for name in ("start", "end", "strand", "position"))
    length = end - start
    if (start < 0).any() or not np.isin(strand, ("+", "-")).all() or (position < 0).any() or (
            position.max() >= length).any():
        raise InputError(f"{path}: start, end, strand and position are not those of loci of one length and their "
                         "mutants")
