"""The Dataset of effects: every variable declared once; what a store of them takes of the disk."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

FORMAT = "kipoi_deepmr effects"
SINGLE_VERSION, PLAN_VERSION = 1, 2  # of the format: of all single mutants, and of the mutants of a plan
CHUNK_BYTES = 1_000_000  # of member_effect: what is lost at most when a run is killed, so not much
MAX_LOCI_PER_CHUNK = 64
PLACE_BYTES = 0.5  # of a position or length, which follow one another
LETTER_BYTES = 0.75  # measured: zstd on random letters of four bytes each
FILE_BYTES = 4096  # that a file takes beyond its contents, at most


class Variable(NamedTuple):
    """Name, dimensions, dtype, unit and meaning of one variable of the Dataset."""

    name: str
    dims: tuple
    dtype: str
    unit: str
    meaning: str


_COORDINATES = (
    Variable("chrom", ("locus",), "U", "", "contig, as the FASTA names it"),
    Variable("start", ("locus",), "int64", "bp", "first base of the locus on the forward strand, 0-based"),
    Variable("end", ("locus",), "int64", "bp", "one past the last base of the locus"),
    Variable("strand", ("locus",), "U", "", "strand that the model sees: + or -"),
    Variable("name", ("locus",), "U", "", "name of the locus"),
    Variable("member", ("member",), "U", "", "name of the ensemble member"),
    Variable("mark", ("mark",), "U", "", "name of the mark"),
)

_DATA = (
    Variable("effect", ("locus", "variant", "mark"), "float32", "unit of the mark",
             "mean over members of mutant minus reference"),
    Variable("effect_se", ("locus", "variant", "mark"), "float32", "unit of the mark",
             "standard error of `effect`: standard deviation over members of mutant minus reference"),
    Variable("reference", ("locus", "member", "mark"), "float32", "unit of the mark",
             "prediction of the unmutated locus"),
    Variable("member_effect", ("locus", "member", "variant", "mark"), "float32", "unit of the mark",
             "mutant minus reference of one member"),
)

_SINGLE = (
    Variable("position", ("variant",), "int64", "bp", "0-based position in the locus as the model sees it"),
    Variable("ref_base", ("locus", "variant"), "U1", "", "base before the mutation, on the strand that the model sees"),
    Variable("alt_base", ("locus", "variant"), "U1", "", "base after the mutation, on the strand that the model sees"),
)

OF_VARIANT = ("locus", "variant")
_PLAN = (
    Variable("kind", ("variant",), "U", "", "kind of mutant: single, windows, regions, deletions or pairs"),
    Variable("draws", ("variant",), "int64", "", "replacements over which the effect is averaged"),
    Variable("position", OF_VARIANT, "int64", "bp",
             "0-based first base that changes, in the locus as the model sees it"),
    Variable("length", OF_VARIANT, "int64", "bp", "bases that change; 0 where the locus has no such mutant"),
    Variable("position_2", OF_VARIANT, "int64", "bp", "of a pair, the same of its second region"),
    Variable("length_2", OF_VARIANT, "int64", "bp", "of a pair, the same of its second region; else 0"),
    Variable("target", OF_VARIANT, "int64", "", "number of the mark whose region is replaced; -1: none"),
    Variable("target_2", OF_VARIANT, "int64", "", "of a pair, the same of its second region"),
    Variable("ref_base", OF_VARIANT, "U", "", "bases before the mutation, on the strand that the model sees"),
    Variable("alt_base", OF_VARIANT, "U", "", "bases after it; empty for a deletion, * for a mean over draws"),
    Variable("sequence", ("locus", "base"), "U1", "", "bases of the locus, on the strand that the model sees"),
)

OF_EFFECTS = ("effect", "effect_se", "member_effect")
OPTIONAL = ("member_effect", "position_2", "length_2", "target", "target_2")
OF_MUTANTS = ("position", "length", "position_2", "length_2", "target", "target_2")  # fields of `loci.Mutants`


class Declared(NamedTuple):
    """Coordinates and data variables of one version of the format."""

    coordinates: tuple
    data: tuple

    @property
    def all(self):
        return (*self.coordinates, *self.data)


def _declared(more):
    coordinates = tuple(variable for variable in more if variable.dims == ("variant",))
    return Declared((*_COORDINATES, *coordinates), (*_DATA, *(each for each in more if each not in coordinates)))


DECLARED = {SINGLE_VERSION: _declared(_SINGLE), PLAN_VERSION: _declared(_PLAN)}

# The array of local effects (`local_effects`)
OF_PAIR = ("method", "locus", "exposure", "outcome")
LOCAL_COORDINATES = (
    *(variable for variable in _COORDINATES if variable.dims == ("locus",)),
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


def version_of(loci):
    """Of the format in which the effects of loci are kept."""
    return PLAN_VERSION if loci.plan else SINGLE_VERSION


def dataset(loci, marks, members, data, attributes=None):
    """A Dataset of effects in memory.

    Parameters
    ----------
    loci : kipoi_deepmr.loci.Loci
        The n loci, all of one length L.
    marks, members : sequences of str
    data : dict of str to array
        The variables declared, with n loci and their variants; those in `OPTIONAL` may be missing.
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
    version = version_of(loci)
    declared, mutants = DECLARED[version], loci.mutants_of(0)
    of_variants = ({"kind": mutants.kind, "draws": loci.plan.draws_of(mutants)} if loci.plan else
                   {"position": mutants.position.astype(np.int64)})
    coordinates = {
        "chrom": loci.chrom, "start": loci.start, "end": loci.end, "strand": loci.strand, "name": loci.name,
        "member": np.asarray(members, dtype="U"), "mark": np.asarray(marks, dtype="U"), **of_variants,
    }
    known = {v.name for v in declared.data}
    if set(data) - known or known - set(data) - set(OPTIONAL):
        raise ValueError(f"variables {sorted(data)} given, {sorted(known)} declared")
    data = {**data, **{name: np.asarray(data[name], np.int64) for name in OF_MUTANTS if name in data}}
    variables = {v.name: (v.dims, data[v.name], _attributes(v)) for v in declared.data if v.name in data}
    coords = {v.name: (v.dims, coordinates[v.name], _attributes(v)) for v in declared.coordinates}
    return xr.Dataset(variables, coords, {"format": FORMAT, "format_version": version, **(attributes or {})})


def shapes_of(loci, n_marks, n_members, keep_members=True):
    """Variables of a store of effects of loci that depend on the locus, and their shapes: dict of name to tuple."""
    sizes = {"locus": len(loci), "variant": loci.n_variants, "member": n_members, "mark": n_marks,
             "base": loci.sequences.shape[1]}
    left_out = {*(() if keep_members else ("member_effect",)), *(set(OF_MUTANTS) - set(loci.plan.columns)
                                                                 if loci.plan else ())}
    return {variable.name: tuple(sizes[d] for d in variable.dims)
            for variable in DECLARED[version_of(loci)].data
            if variable.name not in left_out}


def _attributes(variable):
    described = {"description": variable.meaning, "units": variable.unit}
    return {key: value for key, value in described.items() if value}


def loci_per_block(n_members, n_variants, n_marks):
    """How many loci share a chunk, so that a chunk of `member_effect` is about a megabyte."""
    return int(np.clip(CHUNK_BYTES // (4 * n_members * n_variants * n_marks), 1, MAX_LOCI_PER_CHUNK))


def bytes_on_disk(loci, n_members, n_marks, keep_members=True, share=1.0):
    """Most bytes that a store takes: its numbers as if they did not compress, its letters as measured.

    Parameters
    ----------
    loci : kipoi_deepmr.loci.Loci
    n_members, n_marks : int
    keep_members : bool
        As for `Writer`.
    share : float
        Of the effects, how many are no runs of missing numbers, which compress to almost nothing.
    """
    n_blocks = math.ceil(len(loci) / loci_per_block(n_members, loci.n_variants, n_marks))
    dtypes = {variable.name: np.dtype(variable.dtype) for variable in DECLARED[PLAN_VERSION].data}
    total = 0
    for name, shape in shapes_of(loci, n_marks, n_members, keep_members).items():
        each = dtypes[name].itemsize * (share if name in OF_EFFECTS else 1)
        if dtypes[name].kind == "U":
            each = LETTER_BYTES * (1 if name == "sequence" else max(1, loci.mutants_of(0).length.mean()))
        if name in OF_MUTANTS:
            each = PLACE_BYTES
        total += each * math.prod(shape) + n_blocks * FILE_BYTES
    return int(total)
