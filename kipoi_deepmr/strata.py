"""Covariates of loci: from a table, from the spacing of motifs, from annotation; and the strata that they make."""

import os
import shutil
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from .errors import InputError, listed, nearest, one_line
from .loci import read_bed

SPACING_BINS = (0, 35, 70, 150, 1000)  # bp, those of the paper's S1 Fig
PLACE = ["chrom", "start", "end", "strand", "locus"]
PAIR = ["exposure", "outcome"]
INSIDE, OUTSIDE = "in", "out"
N_LOCI = "{loci}"


class Covariate(NamedTuple):
    """A covariate of the rows of a table of local effects.

    Attributes
    ----------
    name : str
    stratum : pandas.Categorical, or None
        The stratum of each row, missing where there is none.
    value : (n,) float64, or None
        The number behind it, NaN where there is none.
    note : str
        What a user should know of it; empty if nothing. `N_LOCI` stands for the number of `loci`.
    loci : frozenset of int
        Numbers of the loci that the note counts, where it does, in their order in the rows.
    """

    name: str
    stratum: pd.Categorical | None
    value: np.ndarray | None
    note: str = ""
    loci: frozenset = frozenset()


def check_bins(bins):
    """The bins' edges as a tuple; `InputError` unless they are two or more growing numbers."""
    edges = tuple(float(edge) for edge in bins)
    if len(edges) < 2 or not all(a < b for a, b in pairwise(edges)):
        raise InputError(f"bins are two or more growing numbers, not {', '.join(f'{edge:g}' for edge in edges)}")
    return edges


def binned(values, bins):
    """Strata "(low, high]" of numbers; what lies in no bin has none.

    Parameters
    ----------
    values : (n,) array
    bins : sequence of float
        Edges, growing.

    Returns
    -------
    pandas.Categorical
    """
    edges = check_bins(bins)
    labels = [f"({low:g}, {high:g}]" for low, high in pairwise(edges)]
    return pd.cut(np.asarray(values, np.float64), edges, labels=labels)


def from_table(path, local, bins=None, names=None):
    """Covariates of a TSV table with a column `locus`; with columns exposure and outcome they are those of pairs.

    Columns that are not numbers are strata; numbers are for meta-regression, and strata too if `bins` are given.

    Parameters
    ----------
    path : str
    local : pandas.DataFrame
        Local effects.
    bins : sequence of float, optional
    names : three sequences of str, optional
        Loci, exposures and outcomes that there are; by default those of `local`, which may be a part.

    Returns
    -------
    list of Covariate
        One for each further column.

    Raises
    ------
    InputError
        No such file, a column is missing, a locus or pair is named twice, or no locus, or no pair, is named.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    try:
        table = pd.read_csv(path, sep="\t", dtype=dict.fromkeys(("locus", *PAIR), str), keep_default_na=False,
                            na_values=["", "NA"])
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a table of covariates ({one_line(error)})") from error
    keys = ["locus", *(role for role in PAIR if role in table)]
    columns = [name for name in table if name not in keys]
    if "locus" not in table or not columns:
        raise InputError(f"{path}: a table of covariates has a column locus and at least one more; it has: "
                         f"{listed(table)}")
    twice = table[keys].duplicated()
    if twice.any():
        row = twice.idxmax()
        raise InputError(f"{path}, line {row + 2}: {' '.join(map(str, table.loc[row, keys]))} is named twice")
    known = dict(zip(("locus", *PAIR), names or [local[key].unique() for key in ("locus", *PAIR)], strict=True))
    named = table[np.logical_and.reduce([table[key].isin(known[key]) for key in keys])]
    if named.empty:
        raise InputError(f"{path}: it names no {' and '.join(keys)} of the local table, such as {known['locus'][0]}")
    joined = local[keys].merge(table, on=keys, how="left")
    missing = len(set(known["locus"]) - set(table["locus"]))
    note = f"{missing} loci are not in {path}" if missing else ""
    return [_of_column(name, joined[name], named[name], bins, note) for name in columns]


def _of_column(name, column, named, bins, note):
    """The covariate of a column; `named` are its values at all loci, of which the rows may have some."""
    if pd.api.types.is_numeric_dtype(named) and not pd.api.types.is_bool_dtype(named):
        values = column.to_numpy(np.float64, na_value=np.nan)
        return Covariate(str(name), binned(values, bins) if bins else None, values, note)
    column, named = (each.map(str, na_action="ignore") for each in (column, named))
    return Covariate(str(name), pd.Categorical(column, pd.Categorical(named).categories), None, note)


def from_annotation(path, local):
    """In or out: whether a locus shares a base with an interval of a BED file, on either strand.

    Parameters
    ----------
    path : str
    local : pandas.DataFrame
        Local effects.

    Returns
    -------
    Covariate
        Named as the file, without its extension.

    Raises
    ------
    InputError
        The BED file cannot be read, or bedtools is not installed.
    """
    loci, number = _loci_of(local)
    inside = np.zeros(len(loci), dtype=bool)
    inside[[int(hit.name) for hit in _intersection(loci, _table_of(path), u=True)]] = True
    name = os.path.basename(path).removesuffix(".gz").removesuffix(".bed")
    strata = pd.Categorical(np.where(inside[number], INSIDE, OUTSIDE), [INSIDE, OUTSIDE])
    return Covariate(name, strata, None, f"{inside.sum()} of {len(loci)} loci are in {name}")


def from_motifs(path, local, bins=SPACING_BINS, names=None):
    """Distance between the nearest motif instances of exposure and outcome, binned.

    An instance counts for a locus that it lies in as a whole. The distance is that between centres, in base pairs.
    A locus without an instance of either mark has no distance, nor has one whose instances share their centre a
    stratum in the bins of the paper, which begin above 0.

    Parameters
    ----------
    path : str
        BED of motif instances, the mark's name in column 4.
    local : pandas.DataFrame
        Local effects.
    bins : sequence of float
    names : three sequences of str, optional
        As for `from_table`.

    Returns
    -------
    Covariate
        Named motif_distance.

    Raises
    ------
    InputError
        The BED file cannot be read or names no mark, bins do not grow, or bedtools is not installed.

    References
    ----------
    Malina S, Cizin D, Knowles DA (2022). PLoS Comput Biol 18(10): e1009880, S1 Fig.
    """
    loci, number = _loci_of(local)
    motifs = _table_of(path)
    marks = set().union(*(names[1:] if names else (local[role] for role in PAIR)))
    unknown = [name for name in motifs["name"].unique() if name not in marks]
    motifs = motifs[motifs["name"].isin(marks)].reset_index(drop=True)
    if motifs.empty:
        raise InputError(f"{path}: column 4 names no mark, but {unknown[0]!r}{nearest(unknown[0], sorted(marks))}")
    nearest_of = _nearest(loci, motifs)
    key = pd.MultiIndex.from_arrays([number, local["exposure"], local["outcome"]])
    distance = nearest_of.reindex(key).to_numpy(np.float64)
    with_both = frozenset(number[np.isfinite(distance)].tolist())
    ignored = f"; ignored, since they are no marks: {listed(unknown[:5])}" if unknown else ""
    return Covariate("motif_distance", binned(distance, bins), distance,
                     f"{N_LOCI} of {len(loci)} loci have motif instances of both marks of a pair{ignored}", with_both)


def _nearest(loci, motifs):
    """Smallest distance by locus's number, mark and other mark (pandas.Series)."""
    hits = _intersection(loci, motifs, wa=True, wb=True, F=1.0)
    pairs = np.array([(int(hit[3]), int(hit[7])) for hit in hits], dtype=np.int64).reshape(-1, 2)
    motif = motifs.iloc[pairs[:, 1]]
    placed = pd.DataFrame({"locus": pairs[:, 0], "mark": motif["name"].to_numpy(),
                           "centre": ((motif["start"] + motif["end"]) / 2).to_numpy()})
    both = placed.merge(placed, on="locus")
    both = both[both["mark_x"] != both["mark_y"]]
    distance = (both["centre_x"] - both["centre_y"]).abs()
    return distance.groupby([both["locus"], both["mark_x"], both["mark_y"]]).min()


def _loci_of(local):
    """Loci of a table of local effects, and which of them each row belongs to."""
    number = local.groupby(PLACE, sort=False).ngroup().to_numpy()
    return local[PLACE].drop_duplicates(ignore_index=True), number


def _table_of(path):
    """A BED file as a table with columns chrom, start, end, name."""
    columns = ("chrom", "start", "end", "name")
    return pd.DataFrame([[getattr(interval, name) for name in columns] for interval in read_bed(path)],
                        columns=columns)


def _intersection(loci, intervals, **options):
    """What `bedtools intersect` finds; each interval of the two tables is named by its row number."""
    if not shutil.which("bedtools"):
        raise InputError("strata from BED files need the program bedtools, which is not installed")
    # Here, since no other command need wait for it.
    import pybedtools

    def bed(table):
        numbered = table[["chrom", "start", "end"]].assign(name=range(len(table)))
        return pybedtools.BedTool.from_dataframe(numbered)

    try:
        return list(bed(loci).intersect(bed(intervals), **options))
    except (pybedtools.helpers.BEDToolsError, pybedtools.MalformedBedLineError, OverflowError) as error:
        raise InputError(f"bedtools cannot use these intervals ({one_line(error)})") from error
