"""What estimation and all that follows takes, said before it begins; refused where disk or memory cannot hold it."""

import os
from typing import NamedTuple

from .. import effects_store
from ..errors import InputError
from ..instruments.sample import MOST_BYTES
from ..meta import order
from ..mr.wide import GROUP_FITS, VIEW_BYTES
from ..output.tables import TSV, in_format_of, is_parquet
from ..threads import n_threads
from .disk import free_bytes, size_in_words
from .duration import in_words
from .sampled import most
from .seconds import NAMED_FROM, seconds_of

MOST_ROWS = 2_000_000  # of a table of local effects, unless --tables says otherwise
SURE_FROM = 1_000_000_000  # bytes; of less, a disk that fills up is told when it does

# Bytes of a row of each table, measured, without an estimate and with one; each member adds one number.
LOCAL_ROW, DIAGNOSTICS_ROW, PAIR_ROW, GLOBAL_ROW, NETWORK_ROW, NUMBER = (
    (110, 150), (80, 400), 70, (198, 217), (115, 270), 19)
GLOBAL_ROW_IN_PARQUET = 5, 90
# Compressed bytes of the array's numbers of a local effect that there is, and of all numbers of one that there is not
ESTIMATE, SE, DF, NO_ESTIMATE = 3.85, 3.4, 2.9, 0.15
VCF_NUMBER, BRIEF_RECORD = 6, 80  # compressed
PAGE, PAGE_PAIR, PAGE_CELL, PAGE_VARIANT = 1_200_000, 60, 0.8, 180  # report.html and what it has, compressed
PAGE_PAIRS, PAGE_DETAILS, WIDE_PAGE_DETAILS = 30_000, 10_000_000, 1_500_000  # the most of it
# Bytes in memory, roughly: the program with its libraries; a pair that is only estimated; a fit
PROGRAM, LEAN_PAIR, FIT = 400_000_000, 50, 300
# of the network: the program with it, a pair, one of causes, and slopes of a mark on another at a locus
NETWORK, NETWORK_PAIR, CAUSE_PAIR, SLOPE, MOST_SLOPES = 450_000_000, 900, 1_000, 8, 50_000_000
# of `aggregate` and the report: a pair of a table held as a whole, one of a longer table, the most of local effects
# that are read at a time, a figure with many marks, and a pair on the page
GLOBAL_PAIR, POOLED_PAIR, GLOBAL_READ, FIGURE, REPORT_PAIR, REPORT, POOLED = (
    1_000, 45, 300_000_000, 600_000_000, 100, 300_000_000, 700_000_000)
FOOTER = 30_000  # bytes that a Parquet file has beyond its rows, which are shorter than those of a TSV


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
    """Numbers of pairs, fits (of every member and method) and rows; bytes by file, and in memory and seconds by stage.

    Seconds are those of one processor.
    """

    pairs: int
    fits: int
    rows: int
    files: dict
    memory: dict
    seconds: dict

    @property
    def text(self):
        """All of it in three lines."""
        stages = ", ".join(f"{name} {in_words(n)}" for name, n in self.seconds.items())
        files = ", ".join(f"{name} {size_in_words(n)}" for name, n in self.files.items())
        return (f"{self.pairs:,} pairs, {self.fits:,} fits, {self.rows:,} local effects: about "
                f"{size_in_words(self.most_memory)} of memory\n"
                f"time after the predictions, about: {stages} (of one processor)\n"
                f"disk after the predictions, up to: {files}")

    @property
    def most_memory(self):
        """Bytes in memory of the stage that takes most."""
        return max(self.memory.values())


def sizes_of(options, marks, sizes, whole_run=True, network=True, like=TSV, known=None):
    """What estimation, or all of a run after the predictions, takes.

    Parameters
    ----------
    options : EstimateOptions
    marks : sequence of str
    sizes : dict of str to int
        Of the dimensions locus, member, variant and mark of the effects.
    whole_run : bool
        Whether the global table and the report follow.
    network : bool
        Whether the network does, too.
    like : str
        Name, or ending, of a table in the format of all; those of Parquet are smaller than TSV but for their footers.
    known : Sampled, optional
        Of these effects, by default the most that there can be.

    Returns
    -------
    Sizes
    """
    pairs, rows, wide = options.n_pairs(len(marks)), rows_of(options, sizes), is_wide(options, sizes)
    known = known or most(options, sizes)
    network = network and whole_run
    members = sizes["member"] if options.uncertainty != "instrument" else 0
    twice = bool(members) and options.spread_shrinkage == "moderated"
    fits = rows * (members or 1) * (2 if twice else 1)
    in_table, share = _in_table(options, sizes, known, network)
    diagnosed = in_table // len(options.method) if options.diagnostics != "none" else 0
    files = _files_of_estimate(options, sizes, known, in_table, diagnosed, share)
    if options.vcf != "none":
        numbers = 2 * (len(marks) + pairs * len(options.method))  # a mutant may be an instrument of every mark
        files["instruments.vcf.gz"] = sizes["locus"] * sizes["variant"] * (
            BRIEF_RECORD if wide else VCF_NUMBER * numbers)
    if whole_run:
        files.update(_files_of_run(options, sizes, known, wide, network, is_parquet(like)))
    if is_parquet(like):
        files = {in_format_of(name, like): n + FOOTER * name.endswith(TSV) for name, n in files.items()}
    return Sizes(pairs, fits, rows, files, _memory(options, marks, sizes, known, whole_run, network),
                 seconds_of(options, sizes, (pairs, rows, fits), known, network, whole_run, diagnosed * share,
                            is_parquet(like)))


def _in_table(options, sizes, known, network):
    """Roughly, how many rows the table of local effects has, and the share of these that have an estimate."""
    if not is_wide(options, sizes):
        return rows_of(options, sizes), 1.0
    if options.tables == "all":
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


def _files_of_estimate(options, sizes, known, in_table, diagnosed, share):
    """Bytes of what `estimate` writes, but for the VCF."""
    rows, wide = rows_of(options, sizes), is_wide(options, sizes)
    members = sizes["member"] if options.uncertainty != "instrument" else 0
    twice, files = members and options.spread_shrinkage == "moderated", {}
    if wide:
        of_one = ESTIMATE * (1 + members) + SE + (DF if twice else 0)
        files["local.zarr"] = int(rows * (NO_ESTIMATE + of_one * known.share))
        if twice:
            files["a temporary file"] = 8 * rows
    if in_table:
        files["local.tsv"] = int(in_table * _row((LOCAL_ROW[0], LOCAL_ROW[1] + NUMBER * members), share))
    if diagnosed:
        files["diagnostics.tsv"] = int(diagnosed * _row(DIAGNOSTICS_ROW, share))
        files["diagnostics_by_pair.tsv"] = diagnosed // sizes["locus"] * PAIR_ROW
    return files


def _files_of_run(options, sizes, known, wide, network, parquet):
    """Bytes of what follows `estimate`."""
    pairs, marks = options.n_pairs(sizes["mark"]), sizes["mark"]
    rows = pairs * len(options.method)
    files = {"global.tsv": int(rows * _row(GLOBAL_ROW_IN_PARQUET if parquet else GLOBAL_ROW, known.of_pairs))}
    if rows > order.MOST_ROWS:
        files["a temporary file of global effects"] = 132 * rows
    if network:
        files["network.tsv"] = int(marks ** 2 * _row((NETWORK_ROW[0], NETWORK_ROW[1] + NUMBER * sizes["member"]),
                                                     known.causes))
    details = min(sizes["locus"] * sizes["variant"] * PAGE_VARIANT, WIDE_PAGE_DETAILS if wide else PAGE_DETAILS)
    files["report.html"] = int(PAGE + PAGE_PAIR * min(pairs, PAGE_PAIRS) + PAGE_CELL * min(marks, 1_000) ** 2 + details)
    return files


def _memory(options, marks, sizes, known, whole_run, network):
    """Bytes in memory of each stage."""
    pairs, rows, wide = options.n_pairs(len(marks)), rows_of(options, sizes), is_wide(options, sizes)
    members = sizes["member"] if options.uncertainty != "instrument" else 0
    shape = shape_of(options, marks, sizes)
    held = shape.block * pairs * len(options.method) * (16 + 4 * members) + LEAN_PAIR * pairs if wide else 0
    of_locus = 8 * sizes["variant"] * len(marks)
    views = min(max(VIEW_BYTES, of_locus), shape.block * of_locus) * 4 * (1 + members)
    estimate = held + views + min(rows, n_threads() * GROUP_FITS) * FIT * (1 + members) + (
        0 if wide else rows * sum(LOCAL_ROW))
    inferred = memory_of_network(sizes, known.causes)
    if not whole_run:
        direct = options.instruments == "direct"
        return {"estimate": max(PROGRAM + estimate, inferred if direct and wide else 0)}
    beside = inferred if network else PROGRAM
    n_rows = pairs * len(options.method)
    aggregate = n_rows * GLOBAL_PAIR if n_rows <= order.MOST_ROWS else n_rows * POOLED_PAIR + POOLED
    aggregate += min(GLOBAL_READ, 4 * rows * (2 + members)) if wide else rows * sum(LOCAL_ROW)
    figure = FIGURE if network and len(marks) > NAMED_FROM else 0
    return {**({"network": inferred} if network else {}), "estimate": beside + estimate,
            "aggregate": beside + max(aggregate, figure), "report": beside + REPORT + REPORT_PAIR * pairs}


def memory_of_network(sizes, causes=1.0):
    """Bytes in memory that the network takes; `sizes` are those of the effects' dimensions."""
    marks, members = sizes["mark"], sizes["member"]
    slopes = sizes["locus"] * marks ** 2
    sample = min(1.5 * MOST_BYTES, 4 * sizes["locus"] * sizes["variant"] * marks * members)
    return int(NETWORK + 1.5 * sample + (SLOPE * slopes if slopes <= MOST_SLOPES else 0)
               + marks ** 2 * (NETWORK_PAIR + CAUSE_PAIR * causes))


def check_sizes(sizes, path):
    """Raise `InputError` where the disk of `path`, or this machine's memory, cannot hold it."""
    free, memory, needed = free_bytes(path), memory_of_machine(), sum(sizes.files.values())
    fewer = "take fewer pairs (--exposures, --outcomes), fewer loci (--n_loci)"
    if needed > max(free, SURE_FROM):
        largest = max(sizes.files, key=sizes.files.get)
        raise InputError(f"{sizes.pairs:,} pairs take about {size_in_words(needed)} of disk ({largest} most of it), "
                         f"and {size_in_words(free)} are free; {fewer}, --tables none, or another disk")
    if sizes.most_memory > memory:
        stage = max(sizes.memory, key=sizes.memory.get)
        without = "run without the network (--network none), " if "network" in sizes.memory else ""
        raise InputError(f"{sizes.pairs:,} pairs take about {size_in_words(sizes.most_memory)} of memory ({stage} most "
                         f"of it), and this machine has {size_in_words(memory)}; {without}{fewer}, or stop after the "
                         "local effects (predict, then estimate --tables none --vcf none)")


def check_network(sizes):
    """Raise `InputError` where this machine's memory cannot hold a network; `sizes` are those of the effects."""
    needed, memory = memory_of_network(sizes), memory_of_machine()
    if needed > memory:
        raise InputError(f"a network of {sizes['mark']:,} marks takes about {size_in_words(needed)} of memory, and "
                         f"this machine has {size_in_words(memory)}; predict fewer marks (--marks, --mark_groups_by), "
                         "or give --network none")


def memory_of_machine():
    """Bytes of memory that this process can have: of the machine, or of its control group."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.isfile(path):
            with open(path, encoding="ascii") as file:
                text = file.read().strip()
            known += [int(text)] if text.isdigit() else []
    return min(known)
