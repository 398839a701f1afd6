"""What is printed of the local table: instruments, loci with an estimate, and why a pair has none at all."""

import os
import re

import numpy as np
import pandas as pd

from ..display import counted, shortened
from ..mr import notes
from ..mr.diagnostics.kinds import COUNT, SHARED, F, kinds_of
from ..runs.tables import read_table
from ..strata import PAIR
from .tables import LETTERS_OF_NAME, MAX_LINES, Part, table_of

OF_MEMBER = re.compile(r"^member \d+: ")
NUMBER = re.compile(r"^\d+ instruments?,")
PAIRS_SHOWN = 3
NO_INSTRUMENTS = "0 instruments"
LOWER_Z = "a lower --instrument_z, and look at the marks' effects with `plot tracks`"
# what to try where a mark has no instruments, by the rule that chose them
MORE_INSTRUMENTS = {
    "direct": "more loci, larger mutants (--mutants single,windows:8), or the mark's own sites with --instruments "
              "regions (network_marks.tsv says why no mutant acts on it alone)",
    "regions": "regions of this mark in --instrument_regions that lie in the loci, or a lower --instrument_z",
    "variants": "a VCF with more variants in the loci, or a lower --instrument_z",
    "pooled": LOWER_Z, "own": LOWER_Z,
}
# what to try otherwise, by the start of a note
REMEDIES = {
    "few": "larger mutants (--mutants single,windows:8), a lower --instrument_z or --min_instruments, or a method that "
           "needs fewer instruments (--method ivw)",
    notes.SE_ZERO: "--se_shrinkage trend, which gives a standard error of 0 the one that mutants of its size have",
    notes.NOT_PREDICTED: "`check` on these loci, and another --scale or --mark_summary",
    notes.EQUAL_MEMBERS: "members that were trained independently; these predict the same",
}
ELSE = "another --method, and docs/diagnostics.md"


class LocalCounts:
    """Instruments and estimates of all pairs and methods, taken from the local table as it passes by."""

    def __init__(self):
        self._keys, self._reasons = None, {}
        self._instruments, self._estimated, self._why = [], [], []

    def add(self, table):
        """Take the next rows of the local table, whole loci."""
        if self._keys is None:
            self._keys = table[["exposure", "outcome", "method"]].drop_duplicates()
        shape = -1, len(self._keys)
        self._instruments.append(table["n_instruments"].to_numpy().astype(np.int32).reshape(shape))
        self._estimated.append(np.isfinite(table["estimate"].to_numpy(np.float64)).reshape(shape))
        codes, texts = pd.factorize(table["note"].astype(object).fillna(""))
        numbers = [self._reasons.setdefault(_general(text), len(self._reasons)) for text in texts]
        self._why.append(np.asarray(numbers, np.int16)[codes].reshape(shape))

    @property
    def empty(self):
        """Whether no table passed by, since local effects went to an array."""
        return self._keys is None

    @property
    def names(self):
        """Exposure, outcome and method of each column: a list of tuples."""
        return list(self._keys.itertuples(index=False, name=None))

    @property
    def instruments(self):
        """(locus, column) int32"""
        return np.concatenate(self._instruments)

    @property
    def estimated(self):
        """(locus, column) bool"""
        return np.concatenate(self._estimated)

    def without_estimate(self):
        """Pairs and methods without an estimate at any locus, by the commonest reason: dict of str to list of str."""
        why, instruments, names = np.concatenate(self._why), self.instruments, self.names
        texts, found = list(self._reasons), {}
        for column in np.flatnonzero(~self.estimated.any(0)):
            counts = np.bincount(why[:, column], minlength=len(texts)) * np.array([text != "" for text in texts])
            reason = texts[counts.argmax()] if counts.any() else ""
            found.setdefault(reason if instruments[:, column].any() else NO_INSTRUMENTS, []).append(names[column])
        return found


def _general(note):
    """A note without the member's number, and without how many instruments there are."""
    return NUMBER.sub("too few instruments,", OF_MEMBER.sub("", note))


def of_local(counts, rule):
    """A line on the instruments and estimates of all pairs, and why some have none.

    Parameters
    ----------
    counts : LocalCounts
    rule : str
        That of the instruments.

    Returns
    -------
    Part or None
    """
    if counts.empty:
        return None
    done = counts.estimated
    n_loci, n_columns = done.shape
    some = done.sum(0)[done.any(0)]
    pairs = "pairs" if len({method for *_, method in counts.names}) == 1 else "pairs by methods"
    line = (f"instruments at a locus: {_range(counts.instruments)}; {len(some):,} of {n_columns:,} {pairs} have an "
            f"estimate, at {np.median(some) if len(some) else 0:.0f} of {n_loci:,} loci (median)")
    return Part((line,), tuple(_of_missing(counts, rule)))


def of_pairs(counts):
    """For each ordered pair and method instruments at a locus and loci with an estimate."""
    if counts.empty:
        return None
    columns = zip(counts.names, counts.instruments.T[:MAX_LINES], counts.estimated.T[:MAX_LINES], strict=False)
    rows = [(*key, _range(n), f"{done.sum()} of {len(n)}") for key, n, done in columns]
    header = ("exposure", "outcome", "method", "instruments a locus: median (range)", "loci estimated")
    return table_of(header, rows, counted(len(counts.names), "pair"), len(counts.names))


def of_kinds(path):
    """Instruments of each pair by kind of mutants: how many, how strong, how many move the outcome more.

    `path` is that of diagnostics_by_pair.tsv; None without such a file, or where all mutants are of one kind.
    """
    if not os.path.isfile(path):
        return None
    table = read_table(path, PAIR, ())
    kinds = kinds_of(table)
    if not kinds:
        return None
    rows = [(row.exposure, row.outcome, kind, f"{getattr(row, COUNT + kind):.3g}", f"{getattr(row, F + kind):.3g}",
             f"{getattr(row, SHARED + kind):.2f}") for row in table.head(MAX_LINES).itertuples() for kind in kinds]
    header = ("exposure", "outcome", "kind", "instruments a locus", "mean F", "move the outcome more")
    return table_of(header, rows, f"instruments by kind of mutants, of {counted(len(table), 'pair')}",
                    len(table) * len(kinds), os.path.basename(path))


def _range(n):
    return f"{np.median(n):.0f} ({n.min()}-{n.max()})"


def _of_missing(counts, rule):
    """A line for each reason why pairs have no estimate at any locus."""
    for why, columns in counts.without_estimate().items():
        short = shortened((name for x, y, _ in columns[:PAIRS_SHOWN] for name in (x, y)), LETTERS_OF_NAME)
        pairs = ", ".join(f"{short[x]} -> {short[y]} ({method})" for x, y, method in columns[:PAIRS_SHOWN])
        more = f" and {len(columns) - PAIRS_SHOWN:,} more" if len(columns) > PAIRS_SHOWN else ""
        yield f"no estimate at any locus for {pairs}{more}: {why}. Try {_remedy(why, rule)}"


def _remedy(why, rule):
    if why == NO_INSTRUMENTS:
        return MORE_INSTRUMENTS[rule]
    key = "few" if why.startswith("too few instruments") else why
    return next((remedy for start, remedy in REMEDIES.items() if key.startswith(start)), ELSE)
