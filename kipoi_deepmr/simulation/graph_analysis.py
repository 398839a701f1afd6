"""What an analysis of the simulation of graphs scores and writes."""

import os

import pandas as pd

from .. import network
from ..effects_store import open_effects
from ..files import replacing
from ..options import LEAST_TO_CROSS_FIT
from ..output.tables import EXACT, write_tsv
from ..plots import graph_figure, save
from .graph_scores import score_edges, score_totals, summarise_edges, summarise_totals
from .round_folder import read_record
from .scores import all_tables

ABOUT = ("scenario", "round")
EDGES = "edges.tsv"  # of a round, and of all
SHOWN = ("scenario", "acts", "method", "rounds", "pairs", "coverage", "width", "significant", "in_ci", "rmse")


def estimated(design):
    """Marks between which effects are estimated."""
    return design.marks


def about(record):
    """The columns `ABOUT` of a round, from its round.json."""
    return {name: record[name] for name in ABOUT}


def score(local, global_, source, target, effects_path):
    """Scores of the estimates of total effects of the round in folder `source`; writes those of direct effects."""
    local_truth, truth = (pd.read_csv(os.path.join(source, f"{name}.tsv"), sep="\t", **EXACT)
                          for name in ("truth", "graph"))
    effects = open_effects(effects_path)
    if effects.sizes["member"] >= LEAST_TO_CROSS_FIT:
        edges = score_edges(network.fit(effects).direct, truth)
        write_tsv(os.path.join(target, EDGES), [edges.assign(**about(read_record(source)))])
    return score_totals(local, global_, local_truth, truth)


def write_summary(folder, rounds, targets):
    """rounds.tsv and table1.tsv, of direct effects edges.tsv, edges_table.tsv and edges.png; returns table1."""
    table = summarise_totals(rounds)
    write_tsv(os.path.join(folder, "rounds.tsv"), [rounds])
    write_tsv(os.path.join(folder, "table1.tsv"), [table])
    stored = [path for path in (os.path.join(target, EDGES) for target in targets) if os.path.exists(path)]
    if stored:
        edges = pd.concat([pd.read_csv(path, sep="\t", **EXACT) for path in stored], ignore_index=True)
        write_tsv(os.path.join(folder, EDGES), [edges])
        write_tsv(os.path.join(folder, "edges_table.tsv"), [summarise_edges(edges)])
        with replacing(os.path.join(folder, "edges.png")) as temporary:
            save(graph_figure(edges), temporary, ".png")
    return table


def shown(table, columns):
    """What to print of table1."""
    return table[[*columns, *SHOWN]]


def compare(folder):
    """levers.tsv: the tables of all analyses in a folder, one below the other."""
    write_tsv(os.path.join(folder, "levers.tsv"), [all_tables(folder)])
