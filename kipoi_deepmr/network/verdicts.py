"""A verdict for every ordered pair of marks, in a few plain words, and the reason for it."""

import itertools
from typing import NamedTuple

import networkx as nx
import numpy as np

from ..display import counted, of_loci
from .companions import copies, shared_loci
from .significance import FALSE_DISCOVERY_RATE, beyond_pvalue, qvalues

DIRECT = "direct effect"
INDIRECT = "indirect effect (through {m})"
NONE = "no effect beyond the minimum"
NOT_ALONE = "cannot be told: no mutant acts on {x} alone"
COPIES = "cannot be told: {x} and {m} are near copies"
HIDDEN = "possibly a hidden common cause"
NOT_CLEAR = "larger than the minimum"  # in the reason of NONE: the estimate is, and its error is large
ROWS = 50_000  # pairs at a time, as numbers of Python, which take more memory
MANY_SHARED = 0.3  # share of loci with mutants that act on both marks at once


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
    judge, n_pairs = _Judge(network), len(network.direct)
    verdict, reason = np.empty((2, n_pairs), object)
    for row, pair in enumerate(judge.pairs()):
        verdict[row], reason[row] = judge.of_pair(pair)
    return network.direct[["exposure", "outcome"]].assign(verdict=verdict, reason=reason)


class _Pair(NamedTuple):
    """One row of the table of direct effects: numbers of its marks, and what the verdict takes."""

    i: int
    j: int
    is_edge: bool
    has_total: bool
    direct: float
    direct_std: float
    total: float
    n_loci: int
    shared_share: float


class _Judge:
    def __init__(self, network):
        self.network, self.assignment = network, network.instruments
        self.names = self.assignment.marks
        self.copy = copies(self.assignment)
        self.has_copy = self.copy.any(1).tolist()
        self.causes = self.assignment.causes.tolist()
        self.both, self.either = shared_loci(self.assignment)
        self.edges = network.is_edge
        self.n_members = sum(name.startswith("direct_") for name in network.direct) - 1  # without direct_std
        table = network.total
        unit = np.abs(table["total_std"] / table["total"]).where(table["total"] != 0, 0)
        beyond = beyond_pvalue(table["total_std"].to_numpy(), (table["se"] * unit).to_numpy(), table["df"].to_numpy(),
                               network.min_effect)
        self.has_total = qvalues(beyond) < FALSE_DISCOVERY_RATE
        self.graph, self.paths = nx.DiGraph(), {}
        for pair in self.pairs():
            if pair.is_edge:
                self.graph.add_edge(pair.i, pair.j, length=1 / abs(pair.direct_std))

    def pairs(self):
        """The rows of the table of direct effects as `_Pair`."""
        number = {name: k for k, name in enumerate(self.names)}
        table = self.network.direct
        columns = [table[name].map(number).to_numpy() for name in ("exposure", "outcome")]
        columns += [self.edges, self.has_total]
        columns += [table[name].to_numpy() for name in ("direct", "direct_std", "total_implied", "n_loci",
                                                        "shared_share")]
        for first in range(0, len(table), ROWS):
            some = (column[first:first + ROWS].tolist() for column in columns)
            yield from itertools.starmap(_Pair, zip(*some, strict=True))

    def of_pair(self, pair):
        """Verdict and reason of one pair."""
        i, j = pair.i, pair.j
        if not self.causes[i]:
            return self._without_instruments(i, j)
        if self.has_copy[i] and pair.is_edge:
            x, k = self.names[i], j if self.copy[i, j] else self.copy[i].argmax()
            return COPIES.format(x=x, m=self.names[k]), \
                f"effects on {x} and {self.names[k]} are correlated above 0.95, and only {x} has mutants of its own"
        return self._with_instruments(pair)

    def _without_instruments(self, i, j):
        x = self.names[i]
        if self.has_copy[i]:
            k = j if self.copy[i, j] else self.copy[i].argmax()
            return COPIES.format(x=x, m=self.names[k]), f"effects on {x} and {self.names[k]} are correlated above 0.95"
        reason = self.assignment.reason_text(i)
        return NOT_ALONE.format(x=x), reason

    def _with_instruments(self, pair):
        x, n, many = self.names[pair.i], pair.n_loci, pair.shared_share >= MANY_SHARED
        if pair.is_edge:
            if many and self.both[pair.i, pair.j] > n:
                return HIDDEN, f"{self._shared(pair)}, and only {n} have mutants of {x} alone"
            return DIRECT, f"{_number(pair.direct_std)} standard deviations per standard deviation, {n} loci"
        if pair.has_total:
            through = self._through(pair.i, pair.j)
            if through:
                return INDIRECT.format(m=", ".join(through)), \
                    f"total effect {_number(pair.total)}, direct effect {_number(pair.direct)}, {n} loci"
        if many:
            return HIDDEN, f"{self._shared(pair)}; mutants of {x} alone show no direct effect beyond the minimum"
        estimate, least = f"direct effect {_number(pair.direct_std)} standard deviations", self.network.min_effect
        if abs(pair.direct_std) > least:
            return NONE, f"{estimate}: {NOT_CLEAR} {least:g}, but not clearly so with {of_loci(n)} and " \
                         f"{counted(self.n_members, 'member')}"
        return NONE, f"{estimate}, minimum {least:g}, {n} loci"

    def _shared(self, pair):
        i, j = pair.i, pair.j
        return (f"{self.both[i, j]} of {self.either[i, j]} loci have mutants that act on both {self.names[i]} and "
                f"{self.names[j]}")

    def _through(self, i, j):
        """The marks on the strongest path from one mark to another."""
        if i not in self.paths:
            self.paths[i] = nx.single_source_dijkstra_path(self.graph, i, weight="length") if i in self.graph else {}
        return [self.names[k] for k in self.paths[i].get(j, [])[1:-1]]


def _number(value):
    return f"{value:.3g}"
