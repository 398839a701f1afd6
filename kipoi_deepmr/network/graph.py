"""The network as a graph of networkx, and the table of its marks."""

import networkx as nx
import numpy as np
import pandas as pd

from ..instruments.assignment import REASONS
from .companions import copies


def graph_of(network, every_pair=False):
    """A networkx.DiGraph of a `Network`; see its method `graph`."""
    graph = _edges_only(network, every_pair)
    marks = network.marks.set_index("mark")
    nx.set_node_attributes(graph, {mark: _plain(row) for mark, row in marks.iterrows()})
    return graph


def _edges_only(network, every_pair=False):
    graph = nx.DiGraph()
    graph.add_nodes_from(network.instruments.marks)
    table = network.direct
    chosen = table["direct"].notna() if every_pair else network.is_edge
    for row in table[chosen].to_dict("records"):
        graph.add_edge(row.pop("exposure"), row.pop("outcome"), **_plain(row))
    return graph


def _plain(row):
    """Attributes that every format of graphs can hold: no missing values, no types of numpy."""
    return {key: value.item() if hasattr(value, "item") else value for key, value in dict(row).items()
            if not (isinstance(value, float) and np.isnan(value))}


def marks_table(network):
    """A row a mark: whether it can be a cause and why not, its mutants, copies, loop and degrees."""
    assignment = network.instruments
    graph, copy = _edges_only(network), copies(assignment)
    names = np.array(assignment.marks, dtype=object)
    of_pairs = network.direct.drop_duplicates("exposure").set_index("exposure").reindex(names)
    found = assignment.found
    on, ray = found.on, found.ray
    size = np.abs(assignment.sample.effect)
    loops = {mark: members for members in nx.strongly_connected_components(graph) for mark in members}
    return pd.DataFrame({
        "mark": names,
        "cause": assignment.causes,
        "reason": [REASONS[reason] for reason in assignment.reason],
        "n_own_mutants": of_pairs["n_instruments"].to_numpy(),
        "n_own_loci": of_pairs["n_loci"].to_numpy(),
        "strength": [np.median(size[on & (ray == i), i]) if (on & (ray == i)).any() else np.nan
                     for i in range(len(names))],
        "twins": [",".join(names[copy[i]]) for i in range(len(names))],
        "loop": [",".join(n for n in names if n in loops[mark]) if len(loops[mark]) > 1 else "" for mark in names],
        "in_degree": [graph.in_degree(mark) for mark in names],
        "out_degree": [graph.out_degree(mark) for mark in names],
        "sd": assignment.sd,
    })
