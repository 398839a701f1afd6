"""The network as a graph of networkx, and the table of its marks."""

import networkx as nx
import numpy as np
import pandas as pd

from ..instruments.assignment import REASONS


def graph_of(network, every_pair=False):
    """A networkx.DiGraph of a `Network`; see its method `graph`."""
    graph = _edges_only(network, every_pair)
    marks = network.marks.set_index("mark")
    nx.set_node_attributes(graph, {mark: _plain(row) for mark, row in marks.iterrows()})
    return graph


def _edges_only(network, every_pair=False):
    graph, pairs = nx.DiGraph(), network.pairs
    graph.add_nodes_from(pairs.marks)
    table = pairs.direct_table(np.arange(len(pairs)) if every_pair else np.flatnonzero(network.is_edge))
    for row in table[table["direct"].notna()].to_dict("records"):
        graph.add_edge(row.pop("exposure"), row.pop("outcome"), **_plain(row))
    return graph


def _plain(row):
    """Attributes that every format of graphs can hold: no missing values, no types of numpy."""
    return {key: value.item() if hasattr(value, "item") else value for key, value in dict(row).items()
            if not (isinstance(value, float) and np.isnan(value))}


def marks_table(network):
    """A row a mark: whether it can be a cause and why not, its mutants, copies, loop and degrees."""
    assignment, strength = network.instruments, network.pairs.strength
    graph, copy = _edges_only(network), network.pairs.companions.copy
    names = np.array(assignment.marks, dtype=object)
    loops = {mark: members for members in nx.strongly_connected_components(graph) for mark in members}
    return pd.DataFrame({
        "mark": names,
        "cause": assignment.causes,
        "reason": [REASONS[reason] for reason in assignment.reason],
        "n_own_mutants": strength.n_instruments,
        "n_own_loci": strength.n_loci,
        "strength": network.strength,
        "twins": [",".join(names[copy[i]]) for i in range(len(names))],
        "loop": [",".join(n for n in names if n in loops[mark]) if len(loops[mark]) > 1 else "" for mark in names],
        "in_degree": [graph.in_degree(mark) for mark in names],
        "out_degree": [graph.out_degree(mark) for mark in names],
        "sd": assignment.sd,
    })
