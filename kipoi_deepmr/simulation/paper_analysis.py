"""What an analysis of the paper's simulation scores and writes."""

import os

import pandas as pd

from ..files import replacing
from ..output.tables import EXACT, write_tsv
from ..plots import levers_figure, save, simulation_figure
from .binding import EXPOSURE, MARKS
from .scores import all_tables, score_round, summarise

ABOUT = ("scenario", "round", "gamma")
ESTIMATED = ("loci_estimated", "left_out_estimated")
SHOWN = ("scenario", "method", "rounds", "true_effect", "estimate", "r2", "in_2tau", "coverage", "width", "significant")


def estimated(design):
    """Marks between which effects are estimated."""
    return MARKS


def about(record):
    """The columns `ABOUT` of a round, from its round.json."""
    return {"scenario": record["scenario"], "round": record["round"], "gamma": record["parameters"]["gamma"]}


def score(local, global_, source, target, effects_path):
    """Scores of the estimates at the loci in folder `source`."""
    return score_round(local, global_, pd.read_csv(os.path.join(source, "truth.tsv"), sep="\t", **EXACT))


def write_summary(folder, rounds, targets):
    """rounds.tsv, table1.tsv, and a figure in the manner of the paper's Fig 2 for each method; returns table1."""
    table = summarise(rounds)
    write_tsv(os.path.join(folder, "rounds.tsv"), [rounds])
    write_tsv(os.path.join(folder, "table1.tsv"), [table])
    forward = rounds[rounds["exposure"] == EXPOSURE]
    for method, of_method in forward.groupby("method", sort=False):
        with replacing(os.path.join(folder, f"{method}.png")) as temporary:
            save(simulation_figure(of_method), temporary, ".png")
    return table


def shown(table, columns):
    """What to print of table1: GATA's effect on TAL1, the columns that say most."""
    shown_of = [*columns, *SHOWN, *(name for name in ESTIMATED if name in table)]
    return table.loc[table["exposure"] == EXPOSURE, shown_of]


def compare(folder):
    """levers.tsv and levers.png: the tables of all analyses in a folder, one below the other."""
    table = all_tables(folder)
    write_tsv(os.path.join(folder, "levers.tsv"), [table])
    with replacing(os.path.join(folder, "levers.png")) as temporary:
        save(levers_figure(table[table["exposure"] == EXPOSURE]), temporary, ".png")
