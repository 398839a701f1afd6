"""A verdict for every ordered pair of marks, in a few plain words, and the reason for it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from ..display import counted, of_loci
from ..instruments import Assignment
from ..instruments.rays import pieces
from .pairs import Pairs

DIRECT = "direct effect"
INDIRECT_BEGINS, CANNOT_BE_TOLD = "indirect effect", "cannot be told"
INDIRECT = INDIRECT_BEGINS + " (through {m})"
NONE = "no effect beyond the minimum"
NOT_ALONE = CANNOT_BE_TOLD + ": no mutant acts on {x} alone"
COPIES = CANNOT_BE_TOLD + ": {x} and {m} are near copies"
HIDDEN = "possibly a hidden common cause"
NOT_CLEAR = "larger than the minimum"  # in the reason of NONE: the estimate is, and its error is large
NO_PATH = -9999  # as scipy has it
SOURCES = 10  # of paths, between two looks at signals
MANY_SHARED = 0.3  # share of loci with mutants that act on both marks at once


# Codes of verdicts: the same verdict has another code where it has another reason
_ALONE, _COPIES, _COPIES_OF_CAUSE, _HIDDEN_FEW, _DIRECT, _INDIRECT, _HIDDEN, _NOT_CLEAR, _NONE = range(9)
_OF_KIND = {DIRECT: (_DIRECT,), INDIRECT_BEGINS: (_INDIRECT,), HIDDEN: (_HIDDEN_FEW, _HIDDEN),
            NONE: (_NOT_CLEAR, _NONE), CANNOT_BE_TOLD: (_ALONE, _COPIES, _COPIES_OF_CAUSE)}


def verdicts(network):
    """Verdicts for all ordered pairs.

    Parameters
    ----------
    network : kipoi_deepmr.network.Network

    Returns
    -------
    pandas.DataFrame
        Columns exposure, outcome, verdict, reason; rows as in `network.direct`.
    """
    pairs, texts = network.pairs, [network.judgement.texts(rows) for rows in network.pairs.pieces()]
    verdict, reason = (np.concatenate(each) for each in zip(*texts, strict=True))
    return pd.DataFrame({**pairs.names(np.arange(len(pairs))), "verdict": verdict, "reason": reason})


@dataclass(frozen=True, eq=False)
class Judgement:
    """Which verdict each pair has. The texts, which take much more memory, are made for the rows that are asked for.

    Attributes
    ----------
    pairs : Pairs
    instruments : kipoi_deepmr.instruments.Assignment
    code : (pair,) uint8
    before : (cause, mark) int
        The mark before each on the strongest path of direct effects from a cause; negative where there is none.
    """

    pairs: Pairs
    instruments: Assignment
    code: np.ndarray
    before: np.ndarray

    @classmethod
    def of(cls, network):
        """Judge all pairs of a network."""
        pairs, edges = network.pairs, network.is_edge
        code, copies = np.empty(len(pairs), np.uint8), pairs.companions.copy.any(1)
        code.reshape(len(copies), -1)[:] = np.where(copies, _COPIES, _ALONE)[:, None]
        for rows in pairs.pieces(pairs.rows.numbers):
            code[rows] = _codes_of_causes(pairs, rows, edges[rows], copies)
        indirect = np.flatnonzero(code == _INDIRECT)
        before = _paths(pairs, edges, indirect)
        without = indirect[pairs.at(before, indirect, NO_PATH) < 0]
        code[without] = _without_effect(pairs, without)
        return cls(pairs, network.instruments, code, before)

    @property
    def is_direct(self):
        """(pair,) bool: pairs whose verdict is a direct effect."""
        return self.code == _DIRECT

    @property
    def numbers(self):
        """How many pairs have which kind of verdict, by what it begins with."""
        return {kind: int(np.isin(self.code, codes).sum()) for kind, codes in _OF_KIND.items()}

    @property
    def n_not_clear(self):
        """How many pairs without an effect have an estimate beyond the minimum, but not clearly."""
        return int((self.code == _NOT_CLEAR).sum())

    @cached_property
    def _texts(self):
        return _Texts(self)

    def texts(self, rows):
        """Verdict and reason of some rows: two (row,) arrays of str."""
        found, texts = np.empty((2, len(rows)), object), self._texts
        columns = (rows, *self.pairs.marks_at(rows), self.code[rows], self.pairs.direct_std(rows))
        for k, (row, i, j, code, direct) in enumerate(zip(*(each.tolist() for each in columns), strict=True)):
            found[:, k] = texts.of_code[code](row, i, j, direct)
        return found


class _Texts:
    """Verdict and reason, by code, of a pair: its row, numbers of its marks, and its standardised direct effect."""

    def __init__(self, judgement):
        pairs, self.before = judgement.pairs, judgement.before
        self.pairs, self.names, self.companions, self.least = pairs, pairs.marks, pairs.companions, pairs.min_effect
        self.n_loci, self.n_members = pairs.strength.n_loci.tolist(), counted(len(pairs.direct.by_member), "member")
        self.first_copy = pairs.companions.copy.argmax(1).tolist()
        self.not_alone = [(NOT_ALONE.format(x=x), judgement.instruments.reason_text(i))
                          for i, x in enumerate(self.names)]
        self.of_code = {_ALONE: self.alone, _COPIES: self.copies, _COPIES_OF_CAUSE: self.copies_of_cause,
                        _HIDDEN_FEW: self.hidden_few, _DIRECT: self.direct, _INDIRECT: self.indirect,
                        _HIDDEN: self.hidden, _NOT_CLEAR: self.not_clear, _NONE: self.none}

    def alone(self, row, i, j, direct):
        return self.not_alone[i]

    def copies(self, row, i, j, direct):
        x, m = self.names[i], self.names[j if self.companions.copy[i, j] else self.first_copy[i]]
        return COPIES.format(x=x, m=m), f"effects on {x} and {m} are correlated above 0.95"

    def copies_of_cause(self, row, i, j, direct):
        verdict, reason = self.copies(row, i, j, direct)
        return verdict, f"{reason}, and only {self.names[i]} has mutants of its own"

    def hidden_few(self, row, i, j, direct):
        return HIDDEN, f"{self._shared(i, j)}, and only {self.n_loci[i]} have mutants of {self.names[i]} alone"

    def direct(self, row, i, j, direct):
        return DIRECT, f"{_number(direct)} standard deviations per standard deviation, {self.n_loci[i]} loci"

    def indirect(self, row, i, j, direct):
        rows = np.array([row])
        total, effect = (_number((self.pairs.at(part.value, rows) * self.pairs.unit(rows))[0])
                         for part in (self.pairs.total, self.pairs.direct))
        return (INDIRECT.format(m=", ".join(self._through(i, j))),
                f"total effect {total}, direct effect {effect}, {self.n_loci[i]} loci")

    def hidden(self, row, i, j, direct):
        return HIDDEN, (f"{self._shared(i, j)}; mutants of {self.names[i]} alone show no direct effect beyond the "
                        "minimum")

    def not_clear(self, row, i, j, direct):
        return NONE, (f"{_effect(direct)}: {NOT_CLEAR} {self.least:g}, but not clearly so with "
                      f"{of_loci(self.n_loci[i])} and {self.n_members}")

    def none(self, row, i, j, direct):
        return NONE, f"{_effect(direct)}, minimum {self.least:g}, {self.n_loci[i]} loci"

    def _through(self, i, j):
        """Names of the marks between two on the strongest path."""
        before, names = self.before[self.pairs.rows.place[i]], []
        while (j := before[j]) != i:
            names.append(self.names[j])
        return names[::-1]

    def _shared(self, i, j):
        return (f"{self.companions.both[i, j]} of {self.companions.either[i, j]} loci have mutants that act on both "
                f"{self.names[i]} and {self.names[j]}")


def _codes_of_causes(pairs, rows, is_edge, copies):
    """Codes of rows whose exposures are causes; `_INDIRECT` where the total effect is beyond the minimum and the direct
    one is not."""
    i, j = pairs.marks_at(rows)
    few = (pairs.shared_share(rows) >= MANY_SHARED) & (pairs.companions.both[i, j] > pairs.strength.n_loci[i])
    cases = ((is_edge & copies[i], _COPIES_OF_CAUSE), (is_edge & few, _HIDDEN_FEW), (is_edge, _DIRECT),
             (pairs.at(pairs.of_all.has_total, rows, False), _INDIRECT))
    return np.select(*zip(*cases, strict=True), _without_effect(pairs, rows))


def _without_effect(pairs, rows):
    """Codes of rows with neither a direct effect nor an indirect one."""
    hidden = pairs.shared_share(rows) >= MANY_SHARED
    return np.select([hidden, np.abs(pairs.direct_std(rows)) > pairs.min_effect], [_HIDDEN, _NOT_CLEAR], _NONE)


def _paths(pairs, edges, rows):
    """`Judgement.before`, of the exposures of some rows; `NO_PATH` in all other rows."""
    edges, n = np.flatnonzero(edges), len(pairs.marks)
    graph = coo_array((1 / np.abs(pairs.direct_std(edges)), pairs.marks_at(edges)), (n, n)).tocsr()
    before = np.full((len(pairs.rows.numbers), n), NO_PATH, np.min_scalar_type(-max(n, -NO_PATH)))
    exposures = np.unique(pairs.marks_at(rows)[0])
    for some in pieces(len(exposures), SOURCES):
        before[pairs.rows.place[exposures[some]]] = dijkstra(graph, indices=exposures[some],
                                                             return_predecessors=True)[1]
    return before


def _effect(direct):
    return f"direct effect {_number(direct)} standard deviations"


def _number(value):
    return f"{value:.3g}"
