"""What estimation and all that follows takes of disk, memory and time; refused where disk or memory cannot hold it."""

from typing import NamedTuple

import numpy as np

from .. import effects_store
from ..errors import InputError
from ..instruments.rays import MOST_LOCAL
from ..instruments.sample import MOST_BYTES
from ..meta import order
from ..mr.pairs import members_fitted, moderates
from ..mr.wide import GROUP_FITS, VIEW_BYTES
from ..output.brief_vcf import MOST_MARKS as NAMED
from ..output.tables import TSV, in_format_of, is_parquet
from ..report.contents import MAX_GLOBAL_ROWS, MAX_PAIRS
from ..report.heat import MOST_MARKS
from ..threads import n_threads
from .disk import free_bytes, size_in_words
from .memory import memory_of_machine
from .sampled import most, most_causes
from .seconds import NAMED_FROM, NAMED_TO, Seconds

STAGES = ("network", "estimate", "aggregate", "report")  # in the order in which a run makes them
MOST_ROWS = 2_000_000  # of a table of local effects, unless --tables says otherwise
SURE_FROM = 1_000_000_000  # bytes; of less, a disk that fills up is told when it does

# Bytes of a row of each table, measured, without an estimate and with one; each member adds one number.
LOCAL_ROW, DIAGNOSTICS_ROW, PAIR_ROW, GLOBAL_ROW, NETWORK_ROW, NUMBER = (
    (110, 150), (80, 400), 70, (198, 217), (115, 270), 19)
GLOBAL_ROW_IN_PARQUET, NETWORK_ROW_IN_PARQUET, NUMBER_IN_PARQUET = (5, 90), (2, 150), 8
# Compressed bytes of the array's numbers of a local effect that there is, and of all numbers of one that there is not
ESTIMATE, SE, DF, NO_ESTIMATE = 3.85, 3.4, 2.9, 0.15
# Compressed, of the VCF: a number; of an array's, a record, a mark that it names, and a pair with its effect
VCF_NUMBER, BRIEF_RECORD, BRIEF_MARK, BRIEF_PAIR = 6, 15, 8, 8
# Compressed bytes of report.html: itself; a pair, more of a cause; a cell of the heat map; a mutant, and more of one
# that is shown, and of each mark
PAGE, PAGE_PAIR, PAGE_CAUSE, PAGE_CELL, PAGE_VARIANT, PAGE_SHOWN, PAGE_MARK = 1_200_000, 30, 30, 0.8, 40, 110, 1
PAGE_MARKS, PAGE_DETAILS, WIDE_PAGE_DETAILS = 160, 10_000_000, 1_500_000  # the most of it
# Bytes in memory, roughly: the program with its libraries; a pair that is only estimated; a fit
PROGRAM, LEAN_PAIR, FIT = 400_000_000, 50, 300
# of the network: the program with it, a byte of members' effects, slopes of a mark on another at a locus; of a mark,
# histograms of its effects, and each mutant whose actions are computed at a time
NETWORK, SAMPLED_BYTE, SLOPE, HISTOGRAM, ACTION, ACTIONS = 440_000_000, 1.6, 8, 60_000, 56, 2_000
# numbers of a pair whose exposure has mutants of its own, beside those of each member: a run keeps the first, and needs
# the others while it infers the network
KEPT_NUMBERS, NUMBERS = 13, 20
# of `aggregate` and the report: a pair of a table held as a whole, one of a longer table, the most of local effects
# that are read at a time, a figure with many small names (without names half of it, or so much a pair); of the page a
# pair that is read, and one of marks that its heat map can hold
GLOBAL_PAIR, POOLED_PAIR, GLOBAL_READ, FIGURE, FIGURE_PAIR, REPORT_PAIR, HEAT_PAIR, REPORT, POOLED = (
    1_000, 45, 300_000_000, 600_000_000, 65, 50, 900, 330_000_000, 700_000_000)
FOOTER = 30_000  # bytes that a Parquet file has beyond its rows, which are shorter than those of a TSV


def is_wide(options, sizes):
    """Whether local effects go to an array, since there are too many for a table or not all pairs are asked for."""
    return options.tables in ("effects", "none") or rows_of(options, sizes) > MOST_ROWS


def rows_of(options, sizes):
    """How many rows the local table of all pairs has; `sizes` are those of the effects' dimensions."""
    return sizes["locus"] * options.n_pairs(sizes["mark"]) * len(options.method)


def shape_of(options, marks, sizes):
    """Shape of the array of local effects."""
    members = members_fitted(sizes, options)
    return effects_store.Shape(options.method, sizes["locus"], options.exposures or marks, options.outcomes or marks,
                               members)


class Counts(NamedTuple):
    """How much there is to do.

    Attributes
    ----------
    methods, pairs, rows, fits : int
        Methods, ordered pairs, local effects, and fits of every member and method.
    in_table, diagnosed : int
        Rows of the table of local effects, and of the diagnostics.
    share : float
        Of the rows of the table that have an estimate.
    wide : bool
        Whether local effects go to an array.
    infers : bool
        Whether `estimate` infers the network itself.
    """

    methods: int
    pairs: int
    rows: int
    fits: int = 0
    in_table: int = 0
    diagnosed: int = 0
    share: float = 1.0
    wide: bool = True
    infers: bool = False

    @classmethod
    def of(cls, options, sizes, known, stages):
        """Those of effects of such sizes, of which `known` is known."""
        pairs, rows, wide = options.n_pairs(sizes["mark"]), rows_of(options, sizes), is_wide(options, sizes)
        members = members_fitted(sizes, options)
        alone = "network" not in stages and "aggregate" not in stages
        infers = "network" not in stages and (
            options.instruments == "direct" or alone and wide and (options.tables, options.vcf) != ("none", "none"))
        in_table, share = _in_table(options, sizes, known, infers or "network" in stages)
        return cls(len(options.method), pairs, rows, rows * (members or 1) * (2 if moderates(options) else 1), in_table,
                   in_table // len(options.method) if options.diagnostics != "none" else 0, share, wide, infers)


class Sizes(NamedTuple):
    """What the stages take.

    Attributes
    ----------
    counts : Counts
    files : dict of str to int
        Bytes of each file.
    memory : dict of str to int
        Bytes of each stage.
    seconds : Seconds or None
        None of work that takes a minute at most.
    """

    counts: Counts
    files: dict
    memory: dict
    seconds: Seconds | None

    @property
    def text(self):
        """All of it in three lines."""
        of, after = self.counts, " after the predictions" if {"estimate", "aggregate"} <= set(self.memory) else ""
        files = ", ".join(f"{name} {size_in_words(n)}" for name, n in self.files.items())
        fits, rows = f", {of.fits:,} fits" if of.fits else "", f", {of.rows:,} local effects" if of.rows else ""
        return (f"{of.pairs:,} pairs{fits}{rows}: about {size_in_words(self.most_memory)} of memory\n"
                f"time{after}, {self.seconds.text if self.seconds else 'at most a minute'}\n"
                f"disk{after}, up to: {files}")

    @property
    def most_memory(self):
        """Bytes in memory of the stage that takes most."""
        return max(self.memory.values())


def sizes_of(options, marks, sizes, stages=STAGES, like=TSV, known=None, rates=None):
    """What stages of a run take that follow the predictions.

    Parameters
    ----------
    options : EstimateOptions
    marks : sequence of str
    sizes : dict of str to int
        Of the dimensions locus, member, variant and mark of the effects.
    stages : sequence of str
        Some of `STAGES`.
    like : str
        Name, or ending, of a table in the format of all; those of Parquet are smaller than TSV but for their footers.
    known : Sampled, optional
        Of these effects, by default the most that there can be.
    rates : Rates, optional
        Without, nothing is said of time.

    Returns
    -------
    Sizes
    """
    known = known or most(options, sizes)
    counts = Counts.of(options, sizes, known, stages)
    found = sizes_after(counts, sizes, known, [name for name in stages if name != "estimate"], like, rates)
    if "estimate" not in stages:
        return found
    beside = memory_beside(sizes, known.causes if "network" in stages else None)
    memory = beside + _memory_of_estimate(options, marks, sizes, counts)
    if counts.infers and counts.wide and "aggregate" not in stages:
        memory = max(memory, memory_of_network(sizes, known.causes))
    return found._replace(files={**_in_format(_files_of_estimate(options, sizes, known, counts), like), **found.files},
                          memory=_in_order({**found.memory, "estimate": memory}),
                          seconds=rates and found.seconds.with_estimate(options, sizes, counts, known, rates))


def sizes_after(counts, sizes, known, stages, like=TSV, rates=None):
    """What stages take that follow estimation, or run without it; as `sizes_of` from `Counts`."""
    parquet, files = is_parquet(like), {}
    for stage, of_stage in ("aggregate", _files_of_aggregate), ("network", _files_of_network), (
            "report", _files_of_report):
        files.update(of_stage(sizes, known, counts, parquet) if stage in stages else {})
    return Sizes(counts, _in_format(files, like), _memory_after(sizes, known, counts, stages),
                 rates and Seconds.after(sizes, counts, known, rates, stages, parquet))


def _in_format(files, like):
    if not is_parquet(like):
        return files
    return {in_format_of(name, like): n + FOOTER * name.endswith(TSV) for name, n in files.items()}


def _in_order(of_stages):
    return {name: of_stages[name] for name in STAGES if name in of_stages}


def _in_table(options, sizes, known, network):
    """Roughly, how many rows the table of local effects has, and the share of these that have an estimate."""
    if options.tables == "all" or not is_wide(options, sizes):
        return rows_of(options, sizes), known.share
    if options.tables == "none" or not network:
        return 0, 1.0
    # pairs beyond the minimum effect: as if each cause acted on one mark
    rows = int(known.causes * sizes["mark"] * sizes["locus"] * len(options.method))
    of_causes = known.causes if options.instruments == "direct" and known.causes else 1.0
    return rows, min(1.0, known.share / of_causes)


def _row(row, share):
    """Bytes of a row on average, where a share of rows has an estimate."""
    return row[0] + row[1] * share


def _files_of_estimate(options, sizes, known, counts):
    """Bytes of what `estimate` writes."""
    members = members_fitted(sizes, options)
    twice, files, share = moderates(options), {}, counts.share
    if counts.wide:
        of_one = ESTIMATE * (1 + members) + SE + (DF if twice else 0)
        files["local.zarr"] = int(counts.rows * (NO_ESTIMATE + of_one * known.share))
        if twice:
            files["a temporary file"] = 8 * counts.rows
    if counts.in_table:
        files["local.tsv"] = int(counts.in_table * _row((LOCAL_ROW[0], LOCAL_ROW[1] + NUMBER * members), share))
    if counts.diagnosed:
        files["diagnostics.tsv"] = int(counts.diagnosed * _row(DIAGNOSTICS_ROW, share))
        files["diagnostics_by_pair.tsv"] = counts.diagnosed // sizes["locus"] * PAIR_ROW
    if options.vcf != "none":
        records = sizes["locus"] * sizes["variant"] * (1.0 if options.vcf == "all" else known.of_mutants)
        files["instruments.vcf.gz"] = int(records * _record(options, sizes, known, counts))
    return files


def _record(options, sizes, known, counts):
    """Bytes of a record of the VCF."""
    if not counts.wide:
        of_pairs = known.served * counts.pairs / sizes["mark"] * counts.methods
        return VCF_NUMBER * 2 * (sizes["mark"] + of_pairs)
    # as if each mark of which it is an instrument, if that is a cause, acted on one
    direct = known.served * counts.methods * (1.0 if options.instruments == "direct" else known.causes)
    return BRIEF_RECORD + BRIEF_MARK * min(NAMED, known.served) + BRIEF_PAIR * direct


def _files_of_aggregate(_, known, counts, parquet):
    rows = counts.pairs * counts.methods
    files = {"global.tsv": int(rows * _row(GLOBAL_ROW_IN_PARQUET if parquet else GLOBAL_ROW, known.of_pairs))}
    if rows > order.MOST_ROWS:
        files["a temporary file of global effects"] = 132 * rows
    return files


def _files_of_network(sizes, known, _, parquet):
    (least, more), number = (NETWORK_ROW_IN_PARQUET, NUMBER_IN_PARQUET) if parquet else (NETWORK_ROW, NUMBER)
    return {"network.tsv": int(sizes["mark"] ** 2 * _row((least, more + number * sizes["member"]), known.causes))}


def _files_of_report(sizes, known, counts, _):
    marks, rows = sizes["mark"], counts.pairs * counts.methods
    unserved = max(0.0, 1 - MAX_PAIRS / marks) ** known.served  # of mutants, by the exposures that are shown
    of_variant = PAGE_VARIANT + known.of_mutants * (1 - unserved) * (PAGE_SHOWN + PAGE_MARK * min(marks, PAGE_MARKS))
    details = min(sizes["locus"] * sizes["variant"] * of_variant,
                  WIDE_PAGE_DETAILS if rows > MAX_GLOBAL_ROWS else PAGE_DETAILS)
    of_pairs = min(counts.pairs, MAX_GLOBAL_ROWS) * (PAGE_PAIR + PAGE_CAUSE * known.causes)
    return {"report.html": int(PAGE + of_pairs + PAGE_CELL * min(marks, 1_000) ** 2 + details)}


def _memory_of_estimate(options, marks, sizes, counts):
    """Bytes in memory that estimation takes, beside the program."""
    members = members_fitted(sizes, options)
    shape, wide = shape_of(options, marks, sizes), counts.wide
    held = shape.block * counts.pairs * counts.methods * (16 + 4 * members) + LEAN_PAIR * counts.pairs if wide else 0
    of_locus = 8 * sizes["variant"] * len(marks)
    views = min(max(VIEW_BYTES, of_locus), shape.block * of_locus) * 4 * (1 + members)
    fits = min(counts.rows, n_threads() * GROUP_FITS) * FIT * (1 + members)
    return held + views + fits + (0 if wide else counts.rows * sum(LOCAL_ROW))


def _memory_after(sizes, known, counts, stages):
    """Bytes in memory of the stages after estimation."""
    network, marks, rows = "network" in stages, sizes["mark"], counts.pairs * counts.methods
    inferred = memory_of_network(sizes, known.causes)
    beside = memory_beside(sizes, known.causes if network else None)
    aggregate = rows * GLOBAL_PAIR if rows <= order.MOST_ROWS else rows * POOLED_PAIR + POOLED
    aggregate += (min(GLOBAL_READ, 4 * counts.rows * (2 + sizes["member"])) if counts.wide else
                  counts.rows * sum(LOCAL_ROW))
    figure = 0
    if network and marks > NAMED_FROM:
        figure = FIGURE if marks <= NAMED_TO else max(FIGURE // 2, FIGURE_PAIR * marks ** 2)
    report = REPORT + REPORT_PAIR * counts.pairs + HEAT_PAIR * min(counts.pairs, MOST_MARKS ** 2)
    every = {"network": inferred if "aggregate" in stages else max(inferred, beside + figure),
             "aggregate": beside + max(aggregate, figure), "report": beside + report}
    return {name: n for name, n in every.items() if name in stages}


def memory_of_network(sizes, causes=1.0):
    """Bytes in memory that the network takes; `sizes` are those of the effects' dimensions."""
    marks, mutants = sizes["mark"], sizes["locus"] * sizes["variant"]
    sample = min(1.5 * MOST_BYTES, 4 * mutants * marks * sizes["member"])
    compared = ACTION * marks * min(mutants, ACTIONS) + _pairs(sizes, causes, KEPT_NUMBERS + NUMBERS)
    return int(NETWORK + SAMPLED_BYTE * sample + _slopes(sizes) + max(HISTOGRAM * marks, compared))


def memory_beside(sizes, causes=None):
    """Bytes in memory of the program, and of a network that is kept; `causes` as of `Sampled`, None without one."""
    return PROGRAM if causes is None else int(NETWORK + _pairs(sizes, causes, KEPT_NUMBERS) + _slopes(sizes))


def _pairs(sizes, causes, numbers):
    """Bytes of a network's pairs: codes and counts of loci of all, and so many numbers, and each member's, of those
    whose exposure has mutants of its own.
    """
    marks, members, n_causes = sizes["mark"], sizes["member"], min(causes * sizes["mark"], most_causes(sizes))
    return marks * (marks * (2 + 2 * np.min_scalar_type(sizes["locus"]).itemsize) + n_causes * 8 * (numbers + members))


def _slopes(sizes):
    """Bytes of slopes by locus: where a mark has mutants, unless there are too many."""
    loci, marks = sizes["locus"], sizes["mark"]
    return SLOPE * loci * min(sizes["variant"], marks) * marks if loci * marks ** 2 <= MOST_LOCAL else 0


def check_sizes(sizes, path):
    """Raise `InputError` where the disk of `path`, or this machine's memory, cannot hold it."""
    free, memory, needed = free_bytes(path), memory_of_machine(), sum(sizes.files.values())
    pairs, alone = f"{sizes.counts.pairs:,} pairs take about", "estimate" not in sizes.memory
    fewer = ("estimate fewer pairs first (`estimate` with --exposures, --outcomes)" if alone else
             "take fewer pairs (--exposures, --outcomes), fewer loci (--n_loci)")
    if needed > max(free, SURE_FROM):
        largest = max(sizes.files, key=sizes.files.get)
        smaller = "--format parquet" if alone else "--tables none"
        raise InputError(f"{pairs} {size_in_words(needed)} of disk ({largest} most of it), and {size_in_words(free)} "
                         f"are free; {fewer}, {smaller}, or another disk")
    if sizes.most_memory > memory:
        stage = max(sizes.memory, key=sizes.memory.get)
        leave_out = {"network", "aggregate"} <= set(sizes.memory)
        ways = [*["run without the network (--network none)"] * leave_out, fewer,
                "or use a larger machine" if alone else
                "or stop after the local effects (predict, then estimate --tables none --vcf none)"]
        raise InputError(f"{pairs} {size_in_words(sizes.most_memory)} of memory ({stage} most of it), and this machine "
                         f"has {size_in_words(memory)}; {', '.join(ways)}")


def check_network(sizes):
    """Raise `InputError` where this machine's memory cannot hold a network; `sizes` are those of the effects."""
    needed, memory = memory_of_network(sizes), memory_of_machine()
    if needed > memory:
        raise InputError(f"a network of {sizes['mark']:,} marks takes about {size_in_words(needed)} of memory, and "
                         f"this machine has {size_in_words(memory)}; predict fewer marks (--marks, --mark_groups_by), "
                         "or give --network none")
