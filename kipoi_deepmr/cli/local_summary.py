"""What is printed of the local table: instruments, loci with an estimate, and why a pair has none at all."""

import re
from collections import Counter

import numpy as np

from ..mr import notes
from .tables import MAX_ROWS, table_of

OF_MEMBER = re.compile(r"^member \d+: ")
NUMBER = re.compile(r"^\d+ instruments?,")
# what to try, by the start of a note
REMEDIES = {
    "0 instruments": "--instrument_z 1 or less, and look at the marks' effects with `plot tracks`",
    "few": "lower --instrument_z or --min_instruments, or take a method that needs fewer instruments (--method ivw)",
    notes.SE_ZERO: "--se_shrinkage trend, which gives a standard error of 0 the one that mutants of its size have",
    notes.NOT_PREDICTED: "`check` on these loci, and another --scale or --mark_summary",
    notes.EQUAL_MEMBERS: "members that were trained independently; these predict the same",
}
ELSE = "another --method, and docs/diagnostics.md"


class LocalCounts:
    """Instruments and estimates of the first pairs and methods, taken from the local table as it passes by."""

    def __init__(self):
        self._keys = None
        self._instruments, self._estimated, self._notes = [], [], []

    def add(self, table):
        """Take the next rows of the local table, whole loci."""
        if self._keys is None:
            keys = table[["exposure", "outcome", "method"]]
            self._keys = list(keys.drop_duplicates().itertuples(index=False, name=None))
        shown = self._keys[:MAX_ROWS]
        self._notes = self._notes or [Counter() for _ in shown]
        instruments, estimated, why = (
            table[name].to_numpy().reshape(-1, len(self._keys))[:, :MAX_ROWS]
            for name in ("n_instruments", "estimate", "note"))
        self._instruments.append(instruments.astype(np.int32))
        self._estimated.append(np.isfinite(estimated.astype(np.float64)))
        for counter, of_key in zip(self._notes, why.T, strict=True):
            counter.update(map(_general, of_key))

    @property
    def empty(self):
        """Whether no table passed by, since local effects went to an array."""
        return self._keys is None

    def rows(self):
        """For each pair and method instruments at a locus and loci with an estimate; how many rows there would be."""
        return [(*key, f"{np.median(n):.0f} ({n.min()}-{n.max()})", f"{done.sum()} of {len(n)}")
                for key, n, done in self._columns()], len(self._keys)

    def without_estimate(self):
        """Pairs and methods without an estimate at any locus, by the commonest reason: dict of str to list of str."""
        reasons = {}
        for (exposure, outcome, method), n, done in self._columns():
            if not done.any():
                counter = self._notes[self._keys.index((exposure, outcome, method))]
                why = next((note for note, _ in counter.most_common() if note), "")
                why = "0 instruments" if not n.any() else why
                reasons.setdefault(why, []).append(f"{exposure} -> {outcome} ({method})")
        return reasons

    def _columns(self):
        counts, estimated = np.concatenate(self._instruments), np.concatenate(self._estimated)
        return zip(self._keys[:MAX_ROWS], counts.T, estimated.T, strict=True)


def _general(note):
    """A note without the member's number, and without how many instruments there are."""
    return NUMBER.sub("too few instruments,", OF_MEMBER.sub("", note))


def of_local(counts):
    """Per ordered pair and method: instruments at a locus and loci with an estimate; and why some have none."""
    if counts.empty:
        return ""
    rows, n_rows = counts.rows()
    header = ("exposure", "outcome", "method", "instruments a locus: median (range)", "loci estimated")
    lines = [table_of(header, rows, "pairs", n_rows)]
    for why, pairs in counts.without_estimate().items():
        more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        lines.append(f"no estimate at any locus for {', '.join(pairs[:3])}{more}: {why}. Try {_remedy(why)}")
    return "\n".join(lines)


def _remedy(why):
    key = "few" if why.startswith("too few instruments") else why
    return next((remedy for start, remedy in REMEDIES.items() if key.startswith(start)), ELSE)
