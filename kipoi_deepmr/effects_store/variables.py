"""The Dataset of effects: every variable declared once; what a store of them takes of the disk."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

FORMAT = "kipoi_deepmr effects"
FORMAT_VERSION = 1
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

# The array of local effects (`local_effects`)
OF_PAIR = ("method", "locus", "exposure", "outcome")
LOCAL_COORDINATES = (
    *(variable for variable in COORDINATES if variable.dims == ("locus",)),
    Variable("method", ("method",), "U", "", "name of the method"),
    Variable("exposure", ("exposure",), "U", "", "name of the mark that is the cause"),
    Variable("outcome", ("outcome",), "U", "", "name of the mark that is affected"),
)
LOCAL_DATA = (
    Variable("estimate", OF_PAIR, "float32", "unit of the outcome per unit of the exposure",
             "local causal effect; NaN where there is none"),
    Variable("se", OF_PAIR, "float32", "unit of the outcome per unit of the exposure", "standard error of `estimate`"),
    Variable("df", OF_PAIR, "float32", "", "degrees of freedom of the interval; infinite for a normal one"),
    Variable("n_instruments", OF_PAIR, "uint16", "", "number of instruments"),
    Variable("reason", OF_PAIR, "uint16", "", "why there is no estimate: 0, or from 1 the number of one of the reasons "
                                              "that the record lists for the block"),
    Variable("member_estimate", ("method", "member", "locus", "exposure", "outcome"), "float32",
             "unit of the outcome per unit of the exposure", "what each member's own effects give"),
)
OF_MEMBERS = ("member_estimate",)


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


def bytes_on_disk(n_loci, length, n_members, n_marks, keep_members=True, share=1.0):
    """Most bytes that a store takes: its numbers as if they did not compress, its letters as measured.

    Parameters
    ----------
    n_loci, length, n_members, n_marks : int
    keep_members : bool
        As for `Writer`.
    share : float
        Of the effects, how many are no runs of missing numbers, which compress to almost nothing.
    """
    sizes = {"locus": n_loci, "variant": 3 * length, "member": n_members, "mark": n_marks}
    n_blocks = math.ceil(n_loci / loci_per_block(n_members, 3 * length, n_marks))
    total = 0
    for variable in DATA:
        if keep_members or variable.name not in OPTIONAL:
            each = LETTER_BYTES if variable.dtype == "U1" else np.dtype(variable.dtype).itemsize
            held = 1 if variable.dtype == "U1" or "variant" not in variable.dims else share
            total += held * each * math.prod(sizes[d] for d in variable.dims) + n_blocks * FILE_BYTES
    return int(total)
