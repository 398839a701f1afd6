"""The causal network as the page draws it: believed direct effects, and a place for each mark that has one."""

import networkx as nx
import numpy as np
import pandas as pd

from ..network.verdicts import DIRECT
from ..plots.heatmap import is_clear
from ..plots.network import MOST_MARKS
from .numbers import rounded

MOST_EDGES = 2_000
EXACT_UP_TO = 60  # marks of a component that Kamada and Kawai's layout takes in a moment
PAIR = ["exposure", "outcome"]
ASPECT = 1.25  # width by height of the picture


def graph(run, number):
    """Direct effects beyond the minimum of the run's pairs, the strongest first, and where each mark is drawn.

    Parameters
    ----------
    run : FinishedRun
    number : dict of str to int
        Number of each mark on the page.

    Returns
    -------
    dict
        Of JSON values: `exposure`, `outcome`, `effect`, `low`, `high`, `q`, `doubtful` (0 or 1) by edge; `marks`, `x`,
        `y` (between 0 and 1) and `cause` (whether it has mutants of its own) by mark; `alone`, how many marks are not
        drawn, having no edge; or `none`, why there is no network.
    """
    table = run.direct_effects
    if table is None:
        return {"none": "the run inferred no network"}
    every = run.of_first_method
    believed = pd.MultiIndex.from_frame(every.loc[every["verdict"] == DIRECT, PAIR].astype(str))
    of_run = np.logical_and.reduce([table[role].isin(every[role].unique()) for role in PAIR])
    shown = table[is_clear(table) & of_run]
    doubtful = ~pd.MultiIndex.from_frame(shown[PAIR].astype(str)).isin(believed)
    wide = len(number) > MOST_MARKS
    if wide:
        shown, doubtful = shown[~doubtful], doubtful[~doubtful]
    order = np.argsort(-shown["direct_std"].abs().to_numpy(), kind="stable")[:MOST_EDGES]
    shown, doubtful = shown.iloc[order], doubtful[order]
    pairs = list(zip(shown["exposure"].map(number).tolist(), shown["outcome"].map(number).tolist(), strict=True))
    marks = sorted({mark for pair in pairs for mark in pair}) if wide else list(range(len(number)))
    place = _placed(marks, pairs)
    causes = {number.get(name) for name in table["exposure"].unique()}
    unit = shown["direct_std"] / shown["direct"]
    return {"exposure": [x for x, _ in pairs], "outcome": [y for _, y in pairs],
            "effect": rounded(shown["direct_std"]), "low": rounded(shown["ci_low"] * unit),
            "high": rounded(shown["ci_high"] * unit), "q": rounded(shown["qvalue"]),
            "doubtful": doubtful.astype(int).tolist(), "marks": marks,
            "x": rounded([place[mark][0] for mark in marks]), "y": rounded([place[mark][1] for mark in marks]),
            "cause": [int(mark in causes) for mark in marks], "alone": len(number) - len(marks)}


def _placed(marks, pairs):
    """A place between 0 and 1 for each mark: connected marks near each other, one component beside the other."""
    together = nx.Graph()
    together.add_nodes_from(marks)
    together.add_edges_from(pairs)
    parts = sorted(map(sorted, nx.connected_components(together)), key=lambda part: (-len(part), part))
    boxes = [_component(together.subgraph(part), part) for part in parts]
    area = sum(len(part) for part in parts)
    across = max(np.sqrt(area * ASPECT), max((np.sqrt(len(part)) for part in parts), default=1))
    place, left, top, tallest = {}, 0.0, 0.0, 0.0
    for part, box in zip(parts, boxes, strict=True):
        side = np.sqrt(len(part))
        if left and left + side > across + 1e-9:
            left, top, tallest = 0.0, top + tallest, 0.0
        for mark in part:
            place[mark] = (left + side * box[mark][0], top + side * box[mark][1])
        left, tallest = left + side, max(tallest, side)
    if not place:
        return {}
    xy = np.array(list(place.values()))
    low, size = xy.min(0), np.ptp(xy, axis=0)
    return {mark: np.where(size > 0, (np.array(at) - low) / np.where(size > 0, size, 1), 0.5)
            for mark, at in place.items()}


def _component(part, names):
    """Places of the marks of a connected component within a square of side 1, with room at its border."""
    if len(names) == 1:
        return {names[0]: np.array([0.5, 0.5])}
    ordered = nx.Graph()
    ordered.add_nodes_from(names)
    ordered.add_edges_from(sorted(part.edges))
    start = nx.circular_layout(ordered)
    place = nx.kamada_kawai_layout(ordered, pos=start, weight=None) if len(names) <= EXACT_UP_TO else \
        nx.spring_layout(ordered, pos=start, seed=0, iterations=200)
    xy = np.array([place[name] for name in names])
    if len(names) > EXACT_UP_TO:  # half way to an even spread, so that marks in the middle do not lie on each other
        xy = (xy - xy.min(0)) / np.ptp(xy, axis=0) + xy.argsort(0, kind="stable").argsort(0) / (len(names) - 1)
    xy = (xy - xy.min(0)) / max(np.ptp(xy, axis=0).max(), 1e-9)
    xy = 0.5 + 0.8 * (xy - xy.max(0) / 2)
    return dict(zip(names, xy, strict=True))
