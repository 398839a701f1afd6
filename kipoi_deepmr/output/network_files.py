"""The causal network as files: tables of pairs and of marks, GraphML and Cytoscape's JSON."""

import numpy as np
import pandas as pd

from . import tables
from .graph_files import write_cytoscape, write_graphml


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
    about = {"name": "causal network of marks", "source": f"kipoi_deepmr {_version()}"}
    write_graphml(network, about, place("network.graphml"))
    write_cytoscape(network, about, place("network.json"))


def write_pairs(network, path):
    """Write network.tsv alone."""
    tables.write_table(path, (_with_missing(network.pairs.direct_table(rows)) for rows in network.pairs.pieces()))


def _with_missing(table):
    """A table whose empty texts are missing values."""
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    columns = {name: table[name].astype(object) for name in texts}
    return table.assign(**{name: column.where(column != "", np.nan) for name, column in columns.items()})


def _version():
    from .. import __version__

    return __version__
