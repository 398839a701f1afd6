"""Which simulation a stored design is of: the paper's, or that of graphs."""

from .graph_rounds import GraphDesign
from .rounds import Design


def read_design(values):
    """The design that its `as_json` gave.

    Parameters
    ----------
    values : dict

    Returns
    -------
    Design or GraphDesign
    """
    return (GraphDesign if "graph" in values else Design).from_json(values)
