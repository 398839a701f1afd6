"""A verdict for every ordered pair of marks, in a few plain words, and the reason for it."""

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
    judge = _Judge(network)
    rows = [judge.of_pair(*row) for row in enumerate(network.direct.itertuples(index=False))]
    verdict, reason = zip(*rows, strict=True)
    return network.direct[["exposure", "outcome"]].assign(verdict=verdict, reason=reason)


class _Judge:
    def __init__(self, network):
        self.network, self.assignment = network, network.instruments
        self.names = self.assignment.marks
        self.number = {name: k for k, name in enumerate(self.names)}
        self.copy = copies(self.assignment)
        self.both, self.either = shared_loci(self.assignment)
        self.edges = network.is_edge
        self.n_members = sum(name.startswith("direct_") for name in network.direct) - 1  # without direct_std
        table = network.total
        unit = np.abs(table["total_std"] / table["total"]).where(table["total"] != 0, 0)
        beyond = beyond_pvalue(table["total_std"].to_numpy(), (table["se"] * unit).to_numpy(), table["df"].to_numpy(),
                               network.min_effect)
        self.has_total = qvalues(beyond) < FALSE_DISCOVERY_RATE
        self.graph = nx.DiGraph()
        for row, edge in zip(network.direct.itertuples(index=False), self.edges, strict=True):
            if edge:
                self.graph.add_edge(row.exposure, row.outcome, length=1 / abs(row.direct_std))

    def of_pair(self, row, pair):
        """Verdict and reason of one row of the table of direct effects."""
        x, y = pair.exposure, pair.outcome
        i, j = self.number[x], self.number[y]
        if not self.assignment.causes[i]:
            return self._without_instruments(i, j)
        if self.copy[i].any() and self.edges[row]:
            k = j if self.copy[i, j] else self.copy[i].argmax()
            return COPIES.format(x=x, m=self.names[k]), \
                f"effects on {x} and {self.names[k]} are correlated above 0.95, and only {x} has mutants of its own"
        return self._with_instruments(row, pair, i, j)

    def _without_instruments(self, i, j):
        x = self.names[i]
        if self.copy[i].any():
            k = j if self.copy[i, j] else self.copy[i].argmax()
            return COPIES.format(x=x, m=self.names[k]), f"effects on {x} and {self.names[k]} are correlated above 0.95"
        reason = self.assignment.reason_text(i)
        return NOT_ALONE.format(x=x), reason

    def _with_instruments(self, row, pair, i, j):
        n, both, share = int(pair.n_loci), int(self.both[i, j]), pair.shared_share
        shared = (f"{both} of {int(self.either[i, j])} loci have mutants that act on both "
                  f"{pair.exposure} and {pair.outcome}")
        if self.edges[row]:
            if share >= MANY_SHARED and both > n:
                return HIDDEN, f"{shared}, and only {n} have mutants of {pair.exposure} alone"
            return DIRECT, f"{_number(pair.direct_std)} standard deviations per standard deviation, {n} loci"
        if self.has_total[row]:
            through = self._through(pair.exposure, pair.outcome)
            if through:
                return INDIRECT.format(m=", ".join(through)), \
                    f"total effect {_number(pair.total_implied)}, direct effect {_number(pair.direct)}, {n} loci"
        if share >= MANY_SHARED:
            return HIDDEN, f"{shared}; mutants of {pair.exposure} alone show no direct effect beyond the minimum"
        estimate, least = f"direct effect {_number(pair.direct_std)} standard deviations", self.network.min_effect
        if abs(pair.direct_std) > least:
            return NONE, f"{estimate}: {NOT_CLEAR} {least:g}, but not clearly so with {of_loci(n)} and " \
                         f"{counted(self.n_members, 'member')}"
        return NONE, f"{estimate}, minimum {least:g}, {n} loci"

    def _through(self, x, y):
        """The marks on the strongest path from one mark to another."""
        try:
            return nx.dijkstra_path(self.graph, x, y, weight="length")[1:-1]
        except (nx.NetworkXNoPath, nx.NodeNotFound):
            return []


def _number(value):
    return f"{value:.3g}"
