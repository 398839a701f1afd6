"""Effects of mutants on marks of a linear structural equation model, as the members of an ensemble predict them.

A mutant's effects on the marks are `d = a (I - G)^-1`: `a` is what it does to each mark directly, G the direct effects
of marks on marks. Hidden causes are marks that nobody sees.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

EDGES = {4: 4, 10: 15, 30: 50}
SCENARIOS = {
    "acyclic": {}, "cyclic": {"cyclic": True}, "hidden": {"hidden": 1}, "3 hidden": {"hidden": 3},
    "saturated": {"saturate": True}, "weak": {"weak": True},
}


class Simulated(NamedTuple):
    """Effects of one simulated ensemble, and what made them.

    Attributes
    ----------
    effects : (locus, member, mutant, mark) array
        Mutants that a locus has fewer of than the others are zero.
    direct : (mark, mark) float64
        G, cause by outcome, in units of the marks.
    action : (locus, mutant, mark + hidden) float64
        What each mutant does directly.
    """

    effects: np.ndarray
    direct: np.ndarray
    action: np.ndarray

    @property
    def standardised(self):
        """G in standard deviations of the ensemble's effects."""
        sd = self.effects.mean(1, dtype=np.float64).std((0, 1))
        return self.direct * sd[:, None] / sd


def dataset(effects, marks=None):
    """A Dataset with what direct effects are inferred from: (locus, member, mutant, mark) effects."""
    marks = marks if marks is not None else [f"m{j}" for j in range(effects.shape[-1])]
    return xr.Dataset(
        {"effect": (("locus", "variant", "mark"), effects.mean(1, dtype=np.float64).astype(np.float32)),
         "member_effect": (("locus", "member", "variant", "mark"), effects.astype(np.float32))}, {"mark": marks})


def network(n_marks, n_edges, rng, cyclic=False, radius=0.7, low=0.25, high=0.7):
    """Random direct effects (cause, outcome), and an order in which causes come before what they act on."""
    graph = np.zeros((n_marks, n_marks))
    order = rng.permutation(n_marks)
    rank = np.argsort(order)
    if cyclic:
        used, place = rng.permutation(n_marks), 0
        for _ in range(max(1, n_marks // 8)):
            size = 2 if rng.random() < 0.5 else 3
            loop = used[place:place + size]
            place += size
            if len(loop) == size:
                graph[loop, np.roll(loop, -1)] = 1
    while (graph != 0).sum() < n_edges:
        i, j = rng.integers(n_marks, size=2)
        backward = rank[i] > rank[j] and (not cyclic or rng.random() < 0.8)
        if i != j and not graph[i, j] and not backward:
            graph[i, j] = 1
    edges = graph != 0
    graph[edges] = rng.uniform(low, high, edges.sum()) * rng.choice([-1, 1], edges.sum(), p=[0.3, 0.7])
    largest = np.abs(np.linalg.eigvals(graph)).max()
    return graph * min(1, radius / largest) if largest else graph, order


def actions(n_marks, n_loci, rng, probability, size, pleiotropy, n_null):
    """(locus, mutant, mark) direct actions: 24 mutants for each motif at a locus, some of which hit a second one."""
    loci = []
    for _ in range(n_loci):
        blocks = []
        for i in range(len(probability)):
            if rng.random() >= probability[i]:
                continue
            block = np.zeros((24, len(probability)))
            strength = size[i] * rng.lognormal(0, 0.4)
            block[:, i] = -strength * np.repeat(rng.beta(1.5, 1.5, 8), 3) * rng.uniform(0.6, 1.2, 24)
            block[rng.random(24) < 0.1, i] *= -0.4
            j = rng.integers(n_marks)
            if rng.random() < pleiotropy and i != j:
                other = size[j] * rng.lognormal(0, 0.4)
                block[:9, j] -= other * np.repeat(rng.beta(1.5, 1.5, 3), 3) * rng.uniform(0.6, 1.2, 9)
            blocks.append(block)
        loci.append(np.concatenate([*blocks, np.zeros((n_null, len(probability)))]))
    padded = np.zeros((n_loci, max(map(len, loci)), len(probability)))
    for locus, action in zip(padded, loci, strict=True):
        locus[:len(action)] = action
    return padded


def simulate(n_marks=4, n_loci=200, n_members=5, seed=0, cyclic=False, hidden=0, saturate=False, weak=False,
             pleiotropy=0.15, noise=0.05, tau=0.2, leak=0.02, n_null=60, dtype=np.float64, units=True):
    """Simulate an ensemble.

    Parameters
    ----------
    n_marks, n_loci, n_members, seed : int
    cyclic : bool
        Whether the graph has loops.
    hidden : int
        Unseen marks, each a cause of up to three.
    saturate : bool
        A mark is the hyperbolic tangent of what acts on it.
    weak : bool
        A quarter of the marks have few and weak mutants of their own.
    pleiotropy : float
        Share of motifs that overlap another mark's.
    noise : float
        Of effects; half is shared by all members, most of it by all marks.
    tau : float
        How much direct effects differ between loci, relative to themselves.
    leak : float
        Spurious direct effects between any two marks, of the ensemble and of each member.
    n_null : int
        Mutants a locus that act on nothing.

    Returns
    -------
    Simulated
    """
    rng = np.random.default_rng(seed)
    n_edges = EDGES.get(n_marks, min(int(1.7 * n_marks), n_marks * (n_marks - 1) // 2))
    graph, order = network(n_marks, n_edges, rng, cyclic)
    n_all = n_marks + hidden
    full = np.zeros((n_all, n_all))
    full[:n_marks, :n_marks] = graph
    for h in range(n_marks, n_all):
        children = rng.choice(n_marks, min(3, n_marks - 1), replace=False)
        full[h, children] = rng.uniform(0.5, 0.9, len(children)) * rng.choice([-1, 1], len(children), p=[0.2, 0.8])
    probability, size = np.full(n_all, {4: 0.6, 10: 0.4, 30: 0.25}.get(n_marks, 10 / n_marks)), np.ones(n_all)
    if weak:
        few = rng.choice(n_marks, max(1, n_marks // 4), replace=False)
        probability[few] *= 0.1
        size[few] *= 0.3
    action = actions(n_marks, n_loci, rng, probability, size, pleiotropy, n_null)
    base = rng.normal(0.4, 0.6, (n_loci, n_all))
    off = 1 - np.eye(n_all)
    common = rng.normal(0, leak, (n_all, n_all)) * off
    varied = 1 + tau * rng.normal(size=(n_loci, n_all, n_all))
    gain = 1 + 0.1 * rng.normal(size=(n_loci, n_all))

    def error():
        shape = action.shape[:2]
        each = np.sqrt(0.8) * rng.normal(size=(*shape, 1)) + np.sqrt(0.2) * rng.normal(size=(*shape, n_marks))
        return noise * np.sqrt(0.5) * each

    shared = error()
    effects = np.empty((n_loci, n_members, action.shape[1], n_marks), dtype)
    for k in range(n_members):
        member = full + common + rng.normal(0, leak, (n_all, n_all)) * off
        a = action * (gain * (1 + 0.15 * rng.normal(size=(n_loci, n_all))))[:, None]
        local = np.where(full != 0, full * varied, member)
        d = _saturated(a, local, base, [*range(n_marks, n_all), *order]) if saturate else _solved(a, local)
        effects[:, k] = d[..., :n_marks] + shared + error()
    truth = graph * (1 - np.tanh(base[:, :n_marks]) ** 2).mean(0) if saturate else graph
    unit = np.exp(rng.normal(0, 0.5, n_marks)) if units else np.ones(n_marks)
    return Simulated(effects * unit.astype(dtype), truth * unit / unit[:, None], action)


def _solved(a, direct):
    """Effects d = a (I - G)^-1 by locus."""
    return np.swapaxes(np.linalg.solve(np.eye(a.shape[-1]) - np.swapaxes(direct, 1, 2), np.swapaxes(a, 1, 2)), 1, 2)


def _saturated(a, direct, base, order):
    """Effects of marks that saturate, causes first."""
    d = np.zeros_like(a)
    for j in order:
        drive = np.einsum("lvi,li->lv", d, direct[:, :, j]) + a[..., j]
        d[..., j] = np.tanh(base[:, None, j] + drive) - np.tanh(base[:, None, j])
    return d
