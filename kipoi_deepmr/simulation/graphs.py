"""True causal graphs: which mark acts on which, how strongly, and the total effects that follow."""

import string
from typing import NamedTuple

import numpy as np

from .. import options
from ..errors import InputError

HIDDEN_CHILDREN = 3  # marks that a hidden cause acts on, if there are so many
NEGATIVE_SHARE = 0.3
EDGE, HIDDEN_EDGE = (0.3, 0.7), (0.5, 0.9)  # absolute direct effects, drawn uniformly
LARGEST_RADIUS = 0.7  # of the absolute direct effects: what goes round a cycle dies out
EDGES_PER_MARK = 1.5


class Graph(NamedTuple):
    """Direct effects among marks, and of hidden causes on marks.

    Attributes
    ----------
    direct : (n_marks + n_hidden, n_marks + n_hidden) array
        ``direct[i, j]`` is what a unit of i adds to the input of j. Hidden causes come last; nothing acts on them.
    n_marks : int
    """

    direct: np.ndarray
    n_marks: int

    @property
    def names(self):
        """Of marks A, B and so on, or M01 from 27 marks on; of hidden causes U1 and so on."""
        return [*mark_names(self.n_marks), *(f"U{k}" for k in range(1, len(self.direct) - self.n_marks + 1))]


def mark_names(n):
    """A, B, ... or M01, M02, ... for more than 26 marks."""
    return list(string.ascii_uppercase[:n]) if n <= 26 else [f"M{k:02d}" for k in range(1, n + 1)]


def _chain(n, rng):
    return [(i, i + 1) for i in range(n - 1)]


def _fork(n, rng):
    return [(0, j) for j in range(1, n)]


def _collider(n, rng):
    return [(i, n - 1) for i in range(n - 1)]


def _cycle(n, rng):
    return [(i, (i + 1) % n) for i in range(n)]


def _mediator(n, rng):
    return [(0, n - 1), *((0, m) for m in range(1, n - 1)), *((m, n - 1) for m in range(1, n - 1))]


def _random(n, rng):
    order = rng.permutation(n)
    pairs = [(order[i], order[j]) for i in range(n) for j in range(i + 1, n)]
    chosen = rng.choice(len(pairs), min(len(pairs), round(EDGES_PER_MARK * n)), replace=False)
    return [pairs[k] for k in sorted(chosen)]


# edges of n marks: A acts on B, B on C; A acts on all others; all others act on the last; a ring; A acts on the last by
# itself and through all others; an acyclic graph with EDGES_PER_MARK edges a mark
GRAPHS = {"chain": _chain, "fork": _fork, "collider": _collider, "cycle": _cycle, "mediator": _mediator,
          "random": _random}
assert set(GRAPHS) == set(options.GRAPHS)


def check_graph(kind, n_marks, n_hidden):
    """Raise `InputError` unless there is such a graph."""
    least = 3 if kind == "mediator" else 2
    if n_marks < least:
        raise InputError(f"--marks {n_marks}: --graph {kind} needs at least {least}")
    if n_hidden and n_marks < 3:
        raise InputError(f"--hidden {n_hidden}: a hidden cause needs at least 3 marks, with --marks {n_marks} it acts "
                         "on all")


def draw_graph(kind, n_marks, n_hidden, rng):
    """A graph whose edges have random strengths, a share of them negative.

    Each hidden cause acts on `HIDDEN_CHILDREN` marks (on two if there are fewer than six marks).
    """
    total = n_marks + n_hidden
    direct = np.zeros((total, total))
    for i, j in GRAPHS[kind](n_marks, rng):
        direct[i, j] = _strength(rng, EDGE)
    children = HIDDEN_CHILDREN if n_marks >= 2 * HIDDEN_CHILDREN else 2
    for cause in range(n_marks, total):
        for j in rng.choice(n_marks, children, replace=False):
            direct[cause, j] = _strength(rng, HIDDEN_EDGE)
    marks = direct[:n_marks, :n_marks]
    marks *= min(1.0, LARGEST_RADIUS / max(radius(marks), 1e-300))
    return Graph(direct, n_marks)


def _strength(rng, bounds):
    return rng.uniform(*bounds) * (-1 if rng.random() < NEGATIVE_SHARE else 1)


def radius(direct):
    """Spectral radius of the absolute direct effects."""
    return float(np.abs(np.linalg.eigvals(np.abs(direct))).max())


def total_effects(direct):
    """(n, n) total effects: what the last axis' mark changes by if the first's own input moves it by 1.

    ``M_ij / M_ii`` with ``M = (I - direct)^-1``; 1 on the diagonal.
    """
    moved = np.linalg.inv(np.eye(len(direct)) - direct)
    return moved / np.diag(moved)[:, None]


def acts_on(direct):
    """(n, n) whether one mark acts on another, directly or through others."""
    reached = np.linalg.matrix_power(np.eye(len(direct)) + (direct != 0), len(direct)) > 0
    np.fill_diagonal(reached, False)
    return reached
