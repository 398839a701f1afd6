"""What an analysis of the simulation of graphs scores and writes."""

import os

import pandas as pd

from ..output.tables import EXACT, write_tsv
from .graph_scores import score_totals, summarise_totals
from .scores import all_tables

ABOUT = ("scenario", "round")
SHOWN = ("scenario", "acts", "method", "rounds", "pairs", "coverage", "width", "significant", "in_ci", "rmse")


def estimated(design):
    """Marks between which effects are estimated."""
    return design.marks


def about(record):
    """The columns `ABOUT` of a round, from its round.json."""
    return {name: record[name] for name in ABOUT}


def score(local, global_, source, target, effects_path):
    """Scores of the estimates of the round in folder `source`."""
    truths = [pd.read_csv(os.path.join(source, f"{name}.tsv"), sep="\t", **EXACT) for name in ("truth", "graph")]
    return score_totals(local, global_, *truths)


def write_summary(folder, rounds, targets):
    """rounds.tsv and table1.tsv; returns the latter."""
    table = summarise_totals(rounds)
    write_tsv(os.path.join(folder, "rounds.tsv"), [rounds])
    write_tsv(os.path.join(folder, "table1.tsv"), [table])
    return table


def shown(table, columns):
    """What to print of table1."""
    return table[[*columns, *SHOWN]]


def compare(folder):
    """levers.tsv: the tables of all analyses in a folder, one below the other."""
    write_tsv(os.path.join(folder, "levers.tsv"), [all_tables(folder)])
