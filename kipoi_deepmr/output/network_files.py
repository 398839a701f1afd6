"""The causal network as files: tables of pairs and of marks, GraphML and Cytoscape's JSON."""

import json
import re

import networkx as nx
import numpy as np
import pandas as pd

from . import tables

# XML holds no other character below the blank, nor halves of pairs
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_network(network, place):
    """Write a network as network.tsv, network_marks.tsv, network.graphml and network.json.

    Parameters
    ----------
    network : kipoi_deepmr.network.Network
    place : callable
        Gives, for each of these names, the name to write to.
    """
    write_pairs(network, place("network.tsv"))
    marks = network.marks.assign(cause=np.where(network.marks["cause"], "yes", "no"))
    tables.write_table(place("network_marks.tsv"), [_with_missing(marks)])
    graph = network.graph()
    graph.graph.update(name="causal network of marks", source=f"kipoi_deepmr {_version()}")
    nx.write_graphml(_for_xml(graph), place("network.graphml"))
    with open(place("network.json"), "w", encoding="utf-8") as out:
        json.dump(nx.cytoscape_data(graph), out, indent=1, allow_nan=False)
        out.write("\n")


def write_pairs(network, path):
    """Write network.tsv alone."""
    tables.write_table(path, (_with_missing(network.pairs.direct_table(rows)) for rows in network.pairs.pieces()))


def _with_missing(table):
    """A table whose empty texts are missing values."""
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    columns = {name: table[name].astype(object) for name in texts}
    return table.assign(**{name: column.where(column != "", np.nan) for name, column in columns.items()})


def _for_xml(graph):
    """A copy of a graph without the characters that XML cannot hold."""
    names = {node: _NOT_IN_XML.sub("\ufffd", str(node)) for node in graph}
    copy = nx.relabel_nodes(graph, names)
    for attributes in (*(data for _, data in copy.nodes(data=True)), *(data for *_, data in copy.edges(data=True))):
        attributes.update({key: _NOT_IN_XML.sub("\ufffd", value) for key, value in attributes.items()
                           if isinstance(value, str)})
    return copy


def _version():
    from .. import __version__

    return __version__
