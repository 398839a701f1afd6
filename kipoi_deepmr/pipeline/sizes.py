"""What estimation and all that follows takes, said before it begins; refused where disk or memory cannot hold it."""

import os
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import special

from .. import effects_store
from ..errors import InputError
from ..instruments import rule_for, with_se_shrinkage
from ..instruments.search import LEAST_MUTANTS
from ..methods import METHODS
from ..mr.block import Block, LeaveOut
from ..mr.pairs import COMPILED_FROM
from ..mr.wide import GROUP_FITS, VIEW_BYTES
from ..output.tables import TSV, in_format_of, is_parquet
from .disk import free_bytes, size_in_words
from .duration import in_words

MOST_ROWS = 2_000_000  # of a table of local effects, unless --tables says otherwise
SURE_FROM = 1_000_000_000  # bytes; of less, a disk that fills up is told when it does

# Bytes of a row of each table, measured; each member adds one number.
LOCAL_ROW, DIAGNOSTICS_ROW, PAIR_ROW, GLOBAL_ROW, NETWORK_ROW, NUMBER = 260, 480, 70, 400, 385, 19
# Compressed bytes of the array's numbers of a local effect that there is, and of all numbers of one that there is not
ESTIMATE, SE, DF, NO_ESTIMATE = 3.9, 3.4, 2.5, 0.15
SAMPLED, SAMPLE_BYTES = 4, 64_000_000  # loci from which the share with an estimate is taken
VCF_NUMBER, BRIEF_RECORD = 6, 80  # compressed
PLAIN_REPORT, WIDE_REPORT = 4_000_000, 15_000_000
# Bytes in memory, roughly: the program with its libraries; a pair of the network and of the tables of pairs, and one
# that is only estimated; a fit
PROGRAM, PAIR, LEAN_PAIR, FIT = 400_000_000, 4_000, 50, 300
FOOTER = 30_000  # bytes that a Parquet file has beyond its rows, which are shorter than those of a TSV
# A second of a processor, roughly: fits in compiled loops, those that solve an equation first, and by other methods;
# pairs whose spread is moderated, rows with diagnostics, numbers that the network reads, and the pairs of each later
# stage (docs/performance.md)
COMPILED_FITS, ADDITIVE_FITS, OTHER_FITS = 8_000_000, 2_500_000, 150_000
MODERATED_PAIRS, ROWS, NUMBERS = 200_000, 5_000, 3_000_000
NETWORK_PAIRS, GLOBAL_PAIRS, GLOBAL_ROWS, REPORT_PAIRS = 100_000, 20_000, 5_000_000, 40_000
LEAST_ESTIMATE, LEAST_AGGREGATE, LEAST_REPORT = 1.0, 0.5, 3.0  # seconds


def is_wide(options, sizes):
    """Whether local effects go to an array, since there are too many for a table or not all pairs are asked for."""
    return options.tables in ("effects", "none") or rows_of(options, sizes) > MOST_ROWS


def rows_of(options, sizes):
    """How many rows the local table of all pairs has; `sizes` are those of the effects' dimensions."""
    return sizes["locus"] * options.n_pairs(sizes["mark"]) * len(options.method)


def shape_of(options, marks, sizes):
    """Shape of the array of local effects."""
    members = sizes["member"] if options.uncertainty != "instrument" else 0
    return effects_store.Shape(options.method, sizes["locus"], options.exposures or marks, options.outcomes or marks,
                               members)


class Sizes(NamedTuple):
    """Numbers of pairs, fits (of every member and method) and rows; bytes by file and in memory; seconds by stage."""

    pairs: int
    fits: int
    rows: int
    files: dict
    memory: int
    seconds: dict

    @property
    def text(self):
        """All of it in three lines."""
        stages = ", ".join(f"{name} {in_words(n)}" for name, n in self.seconds.items())
        files = ", ".join(f"{name} {size_in_words(n)}" for name, n in self.files.items())
        return (f"{self.pairs:,} pairs, {self.fits:,} fits, {self.rows:,} local effects: about "
                f"{size_in_words(self.memory)} of memory\ntime after the predictions, about: {stages}\n"
                f"disk after the predictions, up to: {files}")


def share_with_estimate(effects, options):
    """Roughly, which share of pairs and loci has an estimate, from a few loci.

    Parameters
    ----------
    effects : xarray.Dataset
    options : EstimateOptions

    Returns
    -------
    float
        Between 0 and 1. For the rule direct as if a mutant acted on the mark that it moves most, in standard
        deviations, since who acts on what is not known yet.
    """
    if not is_wide(options, effects.sizes):  # whose tables have a row for those without an estimate, too
        return 1.0
    n_loci, marks = effects.sizes["locus"], effects["mark"].values.tolist()
    n_sampled = int(np.clip(SAMPLE_BYTES // (4 * effects.sizes["variant"] * len(marks)), 1, min(SAMPLED, n_loci)))
    loci = np.unique(np.linspace(0, n_loci - 1, n_sampled).astype(int))
    sample = with_se_shrinkage(effects.isel(locus=loci).load(), options.se_shrinkage, quiet=True)
    if not np.isfinite(sample["effect"].values).any():  # all sampled loci are lost
        return 1.0
    rule = rule_for(sample, {"direct": "own", "regions": "own", "variants": "pooled"}.get(
        options.instruments, options.instruments), options.instrument_z)
    block = Block.read(sample, slice(0, len(loci)), rule, options.is_cross_fitted)
    views = [block]
    if options.is_cross_fitted:
        leave_out = LeaveOut.of(sample, rule)
        views = [leave_out.without(block, k) for k in range(effects.sizes["member"])]
    causes = 1.0
    if options.instruments == "direct":  # marks with enough mutants in all, as if by chance
        views = [_of_largest(view) for view in views]
        of_mark = views[0].instruments.mask.sum() / len(loci) * n_loci / len(marks)
        causes = special.pdtrc(LEAST_MUTANTS - 1, of_mark)
    fewest = min(max(options.min_instruments, METHODS[name].fewest) for name in options.method)
    enough = np.all([view.instruments.mask.sum(1) >= fewest for view in views], axis=0)
    return float(causes * enough[:, np.isin(marks, options.exposures or marks)].mean())


def _of_largest(block):
    """The block, where only the mark that a mutant moves most has it as an instrument."""
    with np.errstate(all="ignore"):
        size = np.nan_to_num(np.abs(block.effect) / np.nanstd(block.effect, axis=(0, 1)), posinf=0)
    chosen = block.instruments.mask & (size == size.max(-1, keepdims=True))
    return replace(block, instruments=block.instruments._replace(mask=chosen))


def sizes_of(options, marks, sizes, whole_run=True, like=TSV, share=None):
    """What estimation, or all of a run after the predictions, takes.

    Parameters
    ----------
    options : EstimateOptions
    marks : sequence of str
    sizes : dict of str to int
        Of the dimensions locus, member, variant and mark of the effects.
    whole_run : bool
        Whether the network, the global table and the report follow.
    like : str
        Name, or ending, of a table in the format of all; those of Parquet are smaller than TSV but for their footers.
    share : float, optional
        As `share_with_estimate` gives it; by default the most that there can be.

    Returns
    -------
    Sizes
    """
    pairs, rows, wide = options.n_pairs(len(marks)), rows_of(options, sizes), is_wide(options, sizes)
    members = sizes["member"] if options.uncertainty != "instrument" else 0
    twice = members and options.spread_shrinkage == "moderated"
    fits = rows * (members or 1) * (2 if twice else 1)
    shape = shape_of(options, marks, sizes)
    files = {}
    if wide:
        most = min(1.0, sizes["variant"] / len(marks)) if options.instruments == "direct" else 1.0
        of_one = ESTIMATE * (1 + members) + SE + (DF if twice else 0)
        files["local.zarr"] = int(rows * (NO_ESTIMATE + of_one * (most if share is None else share)))
        if twice:
            files["a temporary file"] = 8 * rows
    if not wide or options.tables == "all":
        files["local.tsv"] = rows * (LOCAL_ROW + NUMBER * members)
        if options.diagnostics != "none":
            files["diagnostics.tsv"] = rows // len(options.method) * DIAGNOSTICS_ROW
            files["diagnostics_by_pair.tsv"] = pairs * PAIR_ROW
    if options.vcf != "none":
        numbers = 2 * (len(marks) + pairs * len(options.method))  # a mutant may be an instrument of every mark
        files["instruments.vcf.gz"] = sizes["locus"] * sizes["variant"] * (
            BRIEF_RECORD if wide else VCF_NUMBER * numbers)
    if whole_run:
        files["global.tsv"] = pairs * len(options.method) * GLOBAL_ROW
        files["network.tsv"] = len(marks) ** 2 * (NETWORK_ROW + NUMBER * sizes["member"])
        files["report.html"] = WIDE_REPORT if wide else PLAIN_REPORT
    if is_parquet(like):
        files = {in_format_of(name, like): n + FOOTER * name.endswith(TSV) for name, n in files.items()}
    held = shape.block * pairs * len(options.method) * (16 + 4 * members) + LEAN_PAIR * pairs if wide else 0
    of_locus = 8 * sizes["variant"] * len(marks)
    views = min(max(VIEW_BYTES, of_locus), shape.block * of_locus) * 4 * (1 + members)
    memory = PROGRAM + held + views + min(rows, GROUP_FITS) * FIT * (1 + members) + (0 if wide else rows * LOCAL_ROW)
    return Sizes(pairs, fits, rows, files, max(memory, PROGRAM + (PAIR * len(marks) ** 2 if whole_run else 0)),
                 _seconds(options, sizes, pairs, fits, not wide and options.diagnostics != "none", whole_run))


def _seconds(options, sizes, pairs, fits, diagnosed, whole_run):
    """Roughly how long each stage takes."""
    rows, each = rows_of(options, sizes), fits / len(options.method)
    estimate = LEAST_ESTIMATE + sum(each / _fits_a_second(METHODS[name], each) for name in options.method)
    estimate += pairs * len(options.method) / MODERATED_PAIRS if options.spread_shrinkage == "moderated" else 0
    estimate += rows / ROWS if diagnosed else 0
    if not whole_run:
        return {"estimate": estimate}
    numbers = sizes["locus"] * sizes["variant"] * sizes["mark"] * (1 + sizes["member"])
    return {"network": numbers / NUMBERS + sizes["mark"] ** 2 / NETWORK_PAIRS, "estimate": estimate,
            "aggregate": LEAST_AGGREGATE + pairs * len(options.method) / GLOBAL_PAIRS + rows / GLOBAL_ROWS,
            "report": LEAST_REPORT + pairs / REPORT_PAIRS}


def _fits_a_second(method, n_fits):
    """How many fits of a method a processor makes in a second, if there are `n_fits` of it."""
    if not method.closed_form or n_fits < COMPILED_FROM:
        return OTHER_FITS
    return ADDITIVE_FITS if method.module == "additive" else COMPILED_FITS


def check_sizes(sizes, path):
    """Raise `InputError` where the disk of `path`, or this machine's memory, cannot hold it."""
    free, memory, needed = free_bytes(path), memory_of_machine(), sum(sizes.files.values())
    fewer = "take fewer pairs (--exposures, --outcomes), fewer loci (--n_loci)"
    if needed > max(free, SURE_FROM):
        largest = max(sizes.files, key=sizes.files.get)
        raise InputError(f"{sizes.pairs:,} pairs take about {size_in_words(needed)} of disk ({largest} most of it), "
                         f"and {size_in_words(free)} are free; {fewer}, --tables none, or another disk")
    if sizes.memory > memory:
        raise InputError(f"{sizes.pairs:,} pairs take about {size_in_words(sizes.memory)} of memory, and this machine "
                         f"has {size_in_words(memory)}; {fewer}, or stop after the local effects (predict, then "
                         "estimate --tables none --vcf none)")


def memory_of_machine():
    """Bytes of memory that this process can have: of the machine, or of its control group."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.isfile(path):
            with open(path, encoding="ascii") as file:
                text = file.read().strip()
            known += [int(text)] if text.isdigit() else []
    return min(known)
