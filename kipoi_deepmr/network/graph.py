"""The network as a graph of networkx, and the table of its marks."""

import networkx as nx
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..instruments.assignment import REASONS
from ..instruments.rays import pieces

EDGES = 5_000  # whose attributes are objects of Python at a time


def graph_of(network, every_pair=False):
    """A networkx.DiGraph of a `Network`; see its method `graph`."""
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes_of(network))
    for table in edge_tables(network, every_pair):
        graph.add_edges_from(edges_of(table))
    return graph


def nodes_of(network):
    """The marks of a network with their attributes."""
    for mark, row in network.marks.set_index("mark").iterrows():
        yield mark, plain(row)


def edge_tables(network, every_pair=False):
    """The rows of the table of direct effects that are edges, `EDGES` at a time."""
    rows = _edges(network, np.arange(len(network.pairs)) if every_pair else np.flatnonzero(network.is_edge))
    for some in pieces(len(rows), EDGES):
        yield network.pairs.direct_table(rows[some])


def edges_of(table):
    """Exposure, outcome and attributes of the edges of a table."""
    for row in table.to_dict("records"):
        yield row.pop("exposure"), row.pop("outcome"), plain(row)


def _edges(network, rows):
    """Of some rows, those with an estimate."""
    return rows[~np.isnan(network.pairs.direct_std(rows) * network.pairs.unit(rows))]


def plain(row):
    """Attributes that every format of graphs can hold: no missing or infinite values, no types of numpy."""
    return {key: value.item() if hasattr(value, "item") else value for key, value in dict(row).items()
            if not (isinstance(value, float) and not np.isfinite(value))}


def marks_table(network):
    """A row a mark: whether it can be a cause and why not, its mutants, copies, loop and degrees."""
    assignment, strength = network.instruments, network.pairs.strength
    copy, names = network.pairs.companions.copy, np.array(assignment.marks, dtype=object)
    edges = network.pairs.marks_at(_edges(network, np.flatnonzero(network.is_edge)))
    in_degree, out_degree = (np.bincount(marks, minlength=len(names)) for marks in reversed(edges))
    return pd.DataFrame({
        "mark": names,
        "cause": assignment.causes,
        "reason": [REASONS[reason] for reason in assignment.reason],
        "n_own_mutants": strength.n_instruments,
        "n_own_loci": strength.n_loci,
        "strength": network.strength,
        "twins": [",".join(names[copy[i]]) for i in range(len(names))],
        "loop": _loops(names, edges),
        "in_degree": in_degree,
        "out_degree": out_degree,
        "sd": assignment.sd,
    })


def _loops(names, edges):
    """For each mark, the names of all marks that it acts on and that act on it: one text for all marks of a loop."""
    shape = len(names), len(names)
    _, loop = connected_components(coo_array((np.ones(len(edges[0]), bool), edges), shape), connection="strong")
    texts = [",".join(names[loop == number]) if size > 1 else "" for number, size in enumerate(np.bincount(loop))]
    return [texts[number] for number in loop]
