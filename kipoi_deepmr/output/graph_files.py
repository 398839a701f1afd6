"""A network's graph as GraphML and as Cytoscape's JSON, some edges at a time: the bytes that networkx writes.

networkx needs the whole graph and a tree of XML in memory, 19 KB an edge.
"""

import json
import re
from itertools import chain
from xml.sax.saxutils import escape

import numpy as np

from ..network.graph import edge_tables, edges_of, nodes_of, plain

# XML holds no other character below the blank, nor halves of pairs
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_IN_QUOTES = {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"}
_TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}
_GRAPHML = """<?xml version='1.0' encoding='utf-8'?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
"""


def write_graphml(network, about, path):
    """Write the marks and edges of a network as GraphML.

    A character that XML cannot hold becomes U+FFFD; a name that another mark has then gets more of them.

    Parameters
    ----------
    network : kipoi_deepmr.network.Network
    about : dict of str to str
        Attributes of the graph.
    path : str
    """
    names, keys = xml_names(network.pairs.marks), _keys(network, about)
    quoted = {mark: escape(name, _IN_QUOTES) for mark, name in names.items()}
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write(_GRAPHML)
        for (scope, name), (number, kind) in reversed(keys.items()):
            out.write(f'  <key id="{number}" for="{scope}" attr.name="{name}" attr.type="{kind}" />\n')
        out.write('  <graph edgedefault="directed">\n')
        for mark, attributes in nodes_of(network):
            out.write(f'    <node id="{quoted[mark]}">\n{_data(keys, "node", attributes)}    </node>\n')
        for exposure, outcome, attributes in _edges(network):
            out.write(f'    <edge source="{quoted[exposure]}" target="{quoted[outcome]}">\n'
                      f'{_data(keys, "edge", attributes)}    </edge>\n')
        out.write(f"{_data(keys, 'graph', about, 4)}  </graph>\n</graphml>\n")


def xml_names(marks):
    """For each mark a name of its own that XML can hold, as a dict."""
    names = {mark: mark for mark in marks if not _NOT_IN_XML.search(mark)}
    for mark in marks:
        if mark not in names:
            name = _in_xml(mark)
            while name in names.values():
                name += "\ufffd"
            names[mark] = name
    return names


def write_cytoscape(network, about, path):
    """Write the marks and edges of a network as JSON for Cytoscape; parameters as for `write_graphml`."""
    frame = {"data": list(about.items()), "directed": True, "multigraph": False, "elements": {"nodes": [], "edges": []}}
    before, rest = json.dumps(frame, indent=1).split('"nodes": []')
    between, after = rest.split('"edges": []')
    with open(path, "w", encoding="utf-8") as out:
        out.write(f'{before}"nodes": ')
        _write_list(out, ({**attributes, "id": mark, "value": mark, "name": mark}
                          for mark, attributes in nodes_of(network)))
        out.write(f'{between}"edges": ')
        _write_list(out, ({**attributes, "source": exposure, "target": outcome}
                          for exposure, outcome, attributes in _edges(network)))
        out.write(f"{after}\n")


def _edges(network):
    return chain.from_iterable(map(edges_of, edge_tables(network)))


def _keys(network, about):
    """For each kind of element and attribute, in the order in which they occur: the key's name, and its type."""
    attributes = [("graph", name, value) for name, value in about.items()]
    attributes += [("node", name, value) for _, data in nodes_of(network) for name, value in data.items()]
    attributes += [("edge", name, value) for name, value in _edge_attributes(network).items()]
    keys = {}
    for scope, name, value in attributes:
        keys.setdefault((scope, name), (f"d{len(keys)}", _TYPES[type(value)]))
    return keys


def _edge_attributes(network):
    """The first value of each attribute of edges, in the order in which they occur."""
    values = {}
    for table in edge_tables(network):
        rest = table.drop(columns=["exposure", "outcome", *values])
        first = {name: known.argmax() for name, known in _has_value(rest).items() if known.any()}
        for name in sorted(first, key=first.get):
            values.update(plain({name: rest[name].iloc[first[name]]}))
        if len(first) == rest.shape[1]:
            break
    return values


def _has_value(table):
    return table.notna() & ~table.isin([np.inf, -np.inf])


def _data(keys, scope, attributes, indent=6):
    """Attributes as elements of XML."""
    lines = []
    for name, value in attributes.items():
        text = escape(_in_xml(value)) if isinstance(value, str) else str(value)
        start = f'{" " * indent}<data key="{keys[scope, name][0]}"'
        lines.append(f"{start}>{text}</data>\n" if text else f"{start} />\n")
    return "".join(lines)


def _in_xml(text):
    return _NOT_IN_XML.sub("\ufffd", text)


def _write_list(out, elements):
    """Write a list of flat dictionaries as `json.dump` with an indent of 1 writes it at its depth."""
    before = "[\n"
    for data in elements:
        # without an indent of its own the encoder is the fast one, of C
        text = json.dumps(data, separators=(",\n     ", ": "), allow_nan=False)
        out.write(f'{before}   {{\n    "data": {{\n     {text[1:-1]}\n    }}\n   }}')
        before = ",\n"
    out.write("[]" if before == "[\n" else "\n  ]")
