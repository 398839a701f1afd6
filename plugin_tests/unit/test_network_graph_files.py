"""The graph's files, written some edges at a time: the bytes of networkx, in memory that does not grow with edges."""

import json
import tracemalloc

import networkx as nx
import numpy as np
import pytest
from dense_network import dense_network

from kipoi_deepmr.network import graph as graph_module
from kipoi_deepmr.output.graph_files import write_cytoscape, write_graphml, xml_names

ABOUT = {"name": "causal network <of> marks & \"more\"", "source": "test"}
ODD = ["A\x01", "A\x02", "A\ufffd", "B", "<&\"'>", "ΔΨ 中", "a,b", "tab\tand\nline", " ", "=1+1", "x" * 80,
       "\U0001f9ec"]


@pytest.fixture(autouse=True)
def few_edges(monkeypatch):
    monkeypatch.setattr(graph_module, "EDGES", 7)


def in_xml(text):
    return text.replace("\x01", "\ufffd").replace("\x02", "\ufffd") if isinstance(text, str) else text


def written_whole(network, folder):
    """What networkx makes of the whole graph: the bytes of GraphML and of JSON."""
    graph = network.graph()
    graph.graph.update(ABOUT)
    text = json.dumps(nx.cytoscape_data(graph), indent=1, allow_nan=False) + "\n"
    graph = nx.relabel_nodes(graph, xml_names(network.pairs.marks))
    for data in (*(data for _, data in graph.nodes(data=True)), *(data for *_, data in graph.edges(data=True))):
        data.update({key: in_xml(value) for key, value in data.items()})
    nx.readwrite.graphml.write_graphml_xml(graph, str(folder / "whole.graphml"))
    return (folder / "whole.graphml").read_bytes(), text.encode()


@pytest.mark.parametrize("case", [
    {}, {"share": 0}, {"missing": 0.5}, {"missing": 1}, {"missing": 0.97, "share": 0.2},
    {"outcomes_only": 4}, {"outcomes_only": 11, "missing": 0.5, "share": 1}])
@pytest.mark.parametrize("marks", [ODD, [f"m{j}" for j in range(12)]])
def test_files_written_in_pieces_have_the_bytes_of_networkx(tmp_path, marks, case):
    network = dense_network(marks, **case)
    write_graphml(network, ABOUT, str(tmp_path / "a.graphml"))
    write_cytoscape(network, ABOUT, str(tmp_path / "a.json"))
    graphml, cytoscape = written_whole(network, tmp_path)
    assert (tmp_path / "a.graphml").read_bytes() == graphml
    assert (tmp_path / "a.json").read_bytes() == cytoscape
    n_edges = network.is_edge.sum()
    assert nx.read_graphml(tmp_path / "a.graphml").number_of_edges() == n_edges
    assert (n_edges == 0) == (case.get("share") == 0)


def test_an_infinite_number_is_left_out_since_json_has_none(tmp_path):
    """As F of a mark on which all members agree exactly."""
    network = dense_network(ODD)
    network.pairs.f[2:] = np.inf
    write_graphml(network, ABOUT, str(tmp_path / "a.graphml"))
    write_cytoscape(network, ABOUT, str(tmp_path / "a.json"))
    made = (tmp_path / "a.graphml").read_bytes(), (tmp_path / "a.json").read_bytes()
    assert made == written_whole(network, tmp_path)
    edges = [each["data"] for each in json.loads((tmp_path / "a.json").read_text())["elements"]["edges"]]
    assert all(("f_conditional" in edge) == (edge["source"] in ODD[:2]) for edge in edges)
    assert {edge["source"] for edge in edges} > set(ODD[:2])


def test_marks_that_differ_only_by_what_xml_cannot_hold_stay_two_marks():
    names = xml_names(ODD)
    assert [names[mark] for mark in ODD[:4]] == ["A\ufffd\ufffd", "A\ufffd\ufffd\ufffd", "A\ufffd", "B"]
    assert all(names[mark] == mark for mark in ODD[2:])


@pytest.mark.parametrize("share", [0, 0.03, 0.06, 0.1, 1])
@pytest.mark.parametrize("outcomes_only", [0, 9])
def test_loops_and_degrees_are_those_of_networkx(share, outcomes_only):
    network = dense_network([f"m{j}" for j in range(30)], share, seed=2, outcomes_only=outcomes_only)
    table = network.direct[network.is_edge]
    graph = nx.empty_graph(network.pairs.marks, create_using=nx.DiGraph)
    graph.add_edges_from(zip(table["exposure"], table["outcome"], strict=True))
    loops = {mark: loop for loop in nx.strongly_connected_components(graph) for mark in loop}
    marks = network.marks.set_index("mark")
    for mark in graph:
        loop = [name for name in graph if name in loops[mark]] if len(loops[mark]) > 1 else []
        assert marks["loop"][mark] == ",".join(loop)
        assert (marks["in_degree"][mark], marks["out_degree"][mark]) == (graph.in_degree(mark), graph.out_degree(mark))
    assert (share < 0.1) or (marks["loop"] != "").sum() > 2


@pytest.mark.parametrize("share", [0.03, 0.1, 0.5])
def test_marks_between_cause_and_outcome_are_those_of_the_strongest_path(share):
    network = dense_network([f"m{j}" for j in range(40)], share, seed=5, outcomes_only=8)
    table = network.direct[network.is_edge]
    graph = nx.DiGraph()
    graph.add_weighted_edges_from(zip(table["exposure"], table["outcome"], 1 / table["direct_std"].abs(), strict=True))
    verdicts = network.verdicts
    indirect = verdicts[verdicts["verdict"].str.startswith("indirect")]
    for exposure, outcome, verdict in zip(indirect["exposure"], indirect["outcome"], indirect["verdict"], strict=True):
        path = nx.dijkstra_path(graph, exposure, outcome)
        assert verdict == f"indirect effect (through {', '.join(path[1:-1])})"
    assert len(indirect) > 10 and (share > 0.1 or indirect["verdict"].str.count(",").max() > 1)


def peak_of(work):
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_edges(tmp_path, monkeypatch):
    """A graph of 930 edges takes much more than 50 edges at a time."""
    monkeypatch.setattr(graph_module, "EDGES", 50)
    network = dense_network([f"m{j}" for j in range(31)], share=1)
    assert network.marks["out_degree"].sum() == network.is_edge.sum() == 31 * 30
    whole = peak_of(network.graph)
    for write in (write_graphml, write_cytoscape):
        assert peak_of(lambda write=write: write(network, ABOUT, str(tmp_path / "x"))) < whole / 5
