"""Opens a store of effects; says what is wrong with one that is none, or that the disk has damaged.

A store with a record is compared with it before anything else is read. One without, such as a copy by xarray, must be
as `variables` declares it, and its loci and mutants must be possible ones.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from .. import dna
from ..errors import InputError, one_line
from ..loci.mutants import AVERAGED, NAMES, PAIRS, SINGLE
from . import record
from .metadata import check_metadata
from .mutants import StoredMutants
from .variables import DECLARED, FORMAT, OPTIONAL

BYTES_AT_A_TIME = 16_000_000
LETTERS = ("ref_base", "alt_base", "sequence")
MOST_START = 2 ** 31 - 1  # that a VCF holds
DECODERS = ("scale_factor", "add_offset", "missing_value", "_Unsigned")  # by which xarray reads other numbers
ATTRIBUTES = {"settings": dict, "dropped": dict, "fasta_file": (str, type(None))}  # those that are read


def open_effects(path, pairs=False):
    """Open a store without loading it.

    Parameters
    ----------
    path : str
    pairs : bool
        With mutants of two regions at once, which serve for nothing but to compare them with the mutants of each alone.

    Returns
    -------
    xarray.Dataset
        Values are read from disk when a slice of them is asked for; `check_chunks` says whether they are what was
        written.

    Raises
    ------
    InputError
        No such store, not a store of effects, one of another format version, or one whose metadata or coordinates
        were damaged or changed since it was written.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such effects store")
    _check_head(path)
    opened = open_zarr(path)
    if opened.attrs.get("format") != FORMAT:
        raise InputError(f"{path}: a Zarr store, but not one of DeepMR effects")
    version = opened.attrs.get("format_version")
    if type(version) is not int or version not in DECLARED:
        raise InputError(f"{path}: effects format version {version!r}; this kipoi_deepmr reads "
                         f"{' and '.join(map(str, DECLARED))}")
    _check_declared(path, opened)
    mutants = _checked_kinds(path, opened)
    return opened if pairs else mutants.without_pairs(opened)


def settings_of(path):
    """The settings with which a store was predicted, also of one that is unfinished or damaged.

    Raises
    ------
    InputError
        They cannot be read.
    """
    head = record.head_of(path)
    if head:
        return head["settings"]
    if not os.path.isfile(os.path.join(path, record.RECORD)):
        return open_effects(path).attrs.get("settings", {})
    try:
        with open(os.path.join(path, ".zattrs"), "rb") as file:
            settings = json.loads(file.read()).get("settings", {})
    except (OSError, ValueError, RecursionError, AttributeError) as error:
        raise InputError(f"{path}: its settings cannot be read ({one_line(error)}); choose another name, or "
                         "--overwrite") from error
    return settings if isinstance(settings, dict) else {}


def _check_head(path):
    """Raise `InputError` unless metadata and coordinates are those on record, if there is a record."""
    if not os.path.isfile(os.path.join(path, record.RECORD)):
        return
    head = record.head_of(path)
    other = None if head else record.other_format(path)
    if other is not None:
        raise InputError(f"{path}: its record is of format {other!r:.20}, and this kipoi_deepmr reads {record.FORMAT}; "
                         "the same `predict` or `run` as before writes it again")
    for name in record.damaged_head(path, head) if head else [record.RECORD]:
        raise _damaged(path, name)


def _damaged(path, name):
    what = "computes that block of loci again" if name[-1].isdigit() else "mends it"
    return InputError(f"{os.path.join(path, name)}: damaged since it was written (its CRC-32 is not that on "
                      f"record); the same `predict` or `run` as before {what}")


def open_zarr(path):
    """Open any Zarr store that `check_metadata` lets through; `InputError` for whatever else is there."""
    try:
        check_metadata(path)
        return xr.open_zarr(path, chunks=None)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        inside = " or ".join(map(str, sorted(Path(path).glob("effects*.zarr"))))  # of a run's folder
        way_out = f"; give {inside}" if inside else ""
        raise InputError(f"{path}: not a Zarr store ({one_line(error)}){way_out}") from error


def _check_declared(path, opened):
    """Raise `InputError` unless variables and attributes are as declared."""
    declared = DECLARED[opened.attrs["format_version"]].all
    known = [v for v in declared if v.name in opened or v.name not in OPTIONAL]
    missing = [v.name for v in known if v.name not in opened]
    if missing:
        raise InputError(f"{path}: incomplete effects store, without {', '.join(missing)}")
    for variable in known:
        _check_variable(path, opened[variable.name], variable)
    for name, size in opened.sizes.items():
        if not size:
            raise InputError(f"{path}: effects of no {name}")
    for name, kind in ATTRIBUTES.items():
        if name in opened.attrs and not isinstance(opened.attrs[name], kind):
            raise InputError(f"{path}: its attribute {name} is not one that DeepMR writes: {opened.attrs[name]!r:.60}")


def _checked_kinds(path, opened):
    """The `StoredMutants`; `InputError` unless they are of known kinds, and not pairs alone."""
    try:
        mutants = StoredMutants(opened)
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(f"{path}: kind cannot be read ({one_line(error)})") from error
    unknown = set(mutants.kinds) - set(NAMES)
    if unknown or mutants.kinds == [PAIRS]:
        raise InputError(f"{path}: kind holds {min(unknown)!r:.40}, which is no kind of mutant" if unknown else
                         f"{path}: all mutants are pairs, without those of each region")
    return mutants


def _check_variable(path, found, declared):
    """Raise `InputError` unless a variable is what `variables` declares, and stored as the numbers that are read."""
    dtype = np.dtype(declared.dtype)
    as_declared = found.dtype.kind in "UOT" if dtype.kind == "U" else found.dtype == dtype
    if found.dims != declared.dims or not as_declared:
        over = ", ".join(map(str, found.dims))
        raise InputError(f"{path}: {declared.name} has dtype {found.dtype} and dimensions ({over}); they "
                         f"should be {declared.dtype} and ({', '.join(declared.dims)})")
    units = found.attrs.get("units", declared.unit)
    if units != declared.unit:
        raise InputError(f"{path}: {declared.name} is in {units!r:.40}, and should be in {declared.unit!r}")
    encoding = {**found.encoding, **found.attrs}
    decoded = [name for name in DECODERS if name in encoding]
    fill = encoding.get("_FillValue")
    if not (fill is None or (fill != fill if dtype.kind == "f" else fill in (0, ""))):
        decoded.append(f"_FillValue {fill!r:.20}")
    if decoded:
        raise InputError(f"{path}: {declared.name} is stored with {', '.join(decoded)}, so that other numbers are read "
                         "than were written; write the store again without")


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
            raise _damaged(path, name)
        if loci == slice(None):
            _check_repeats(path, open_effects(path))
        return
    effects = open_effects(path, pairs=True)
    for variable in DECLARED[effects.attrs["format_version"]].all:
        if variable.name in effects:
            _check_readable(path, effects[variable.name], loci)
    _check_places(path, effects)
    _check_repeats(path, effects)
    _check_mutants(path, effects, loci)


def _check_readable(path, values, loci):
    by_locus = "locus" in values.dims
    first, last, _ = loci.indices(len(values)) if by_locus else (0, 1, 1)
    step = max(1, BYTES_AT_A_TIME * len(values) // values.nbytes) if by_locus else 1
    for start in range(first, last, step):
        try:
            piece = (values[start:min(start + step, last)] if by_locus else values).values
            if piece.dtype.kind == "U" and values.name not in LETTERS:
                _check_characters(piece)
        except MemoryError:
            raise
        except Exception as error:
            raise InputError(f"{path}: {values.name} cannot be read ({one_line(error)})") from error
        if values.name in LETTERS and not _are_letters(piece, "kind" in values.coords):
            raise InputError(f"{path}: {values.name} holds letters other than A, C, G and T")


def _check_characters(texts):
    """Raise `ValueError` for numbers that are no characters, which NumPy makes texts of all the same."""
    codes = np.ascontiguousarray(texts).view(np.uint32)
    if ((codes > sys.maxunicode) | (codes >= 0xD800) & (codes <= 0xDFFF)).any():
        raise ValueError("some numbers are no characters")


def _are_letters(texts, of_several):
    """Whether all are letters of DNA or, of mutants of several bases, texts of such letters, nothing or `AVERAGED`."""
    if not of_several:
        return np.isin(texts, list("ACGT")).all()
    letters = np.ascontiguousarray(np.where(texts == AVERAGED, "", texts)).view("U1")
    return np.isin(letters, ["", *"ACGT"]).all()


def _check_places(path, effects):
    """Raise `InputError` unless loci are of one length, and mutants are where those of such loci can be."""
    start, end, strand = (effects[name].values for name in ("start", "end", "strand"))
    length = end - start
    if (start < 0).any() or (end > MOST_START).any() or (length != length[0]).any() or (
            not np.isin(strand, ("+", "-")).all()) or not StoredMutants(effects).fit(int(length[0])):
        raise InputError(f"{path}: start, end, strand and position are not those of loci of one length and their "
                         "mutants")


def _check_repeats(path, effects):
    """Raise `InputError` unless loci, marks and members are there once each."""
    places = pd.DataFrame({name: effects[name].values for name in ("chrom", "start", "end", "strand")})
    repeated = np.flatnonzero(places.duplicated().to_numpy())
    if len(repeated):
        chrom, start, end, strand = places.iloc[repeated[0]]
        raise InputError(f"{path}: locus {effects['name'].values[repeated[0]]} ({chrom}:{start}-{end}, {strand}) is "
                         "there twice, and would be counted twice")
    for name in ("mark", "member"):
        labels = pd.Index(effects[name].values)
        if labels.has_duplicates:
            raise InputError(f"{path}: {name} {labels[labels.duplicated()][0]} is there twice")


def _check_mutants(path, effects, loci):
    """Raise `InputError` unless a locus holds, at each position, the three single mutants of one base, and mutants of
    several bases change what is there."""
    n_single = StoredMutants(effects).n_single
    if n_single < effects.sizes["variant"]:
        _check_stretches(path, effects, loci)
    if not n_single:
        return
    first, last, _ = loci.indices(effects.sizes["locus"])
    step = max(1, BYTES_AT_A_TIME // (8 * effects.sizes["variant"]))
    for begin in range(first, last, step):
        ref, alt = (np.asarray(effects[name][begin:min(begin + step, last), :n_single].values, "U1")
                    for name in ("ref_base", "alt_base"))
        ref, alt = (each.reshape(len(each), -1, 3) for each in (ref, alt))
        bases = np.sort(np.concatenate([ref[:, :, :1], alt], axis=2), axis=2)
        right = (bases == list("ACGT")).all(2) & (ref == ref[:, :, :1]).all(2)
        if not right.all():
            raise InputError(f"{path}: the mutants of locus {effects['name'].values[begin + np.argmin(right.all(1))]} "
                             "are not the three of each base of one sequence")


def _check_stretches(path, effects, loci):
    """Raise `InputError` unless mutants of several bases replace or remove the bases of their locus."""
    mutants = StoredMutants(effects)
    others = np.flatnonzero((mutants.kind != SINGLE) & (mutants.kind != PAIRS))
    for number in range(*loci.indices(effects.sizes["locus"])):
        one = slice(number, number + 1)
        sequence = dna.decode(mutants.sequences(one)[0])
        position, length = (each[0, others].tolist() for each in mutants.places(one))
        ref, alt = (np.asarray(effects[name][number].values, "U")[others].tolist() for name in ("ref_base", "alt_base"))
        for p, n, before, after in zip(position, length, ref, alt, strict=True):
            if before != sequence[p:p + n] or after not in ("", AVERAGED) and len(after) != n:
                raise InputError(f"{path}: mutants of several bases of locus {effects['name'].values[number]} do not "
                                 "change the bases that it has")
