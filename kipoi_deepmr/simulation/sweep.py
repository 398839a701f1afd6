"""The experiment at several strengths of its confounders (the paper's S2 Text), one folder a strength."""

import os

import filelock
import pandas as pd

from ..errors import InputError
from ..files import replacing
from ..output.tables import write_tsv
from ..plots import save, sweep_figure
from .binding import EXPOSURE
from .experiment import LOCK, make_rounds
from .scenarios import SCENARIOS


def confounded(wanted):
    """Those of some rounds that have a confounder: one without is the same at every strength.

    Raises
    ------
    InputError
        None has.
    """
    kept = [place for place in wanted if any(SCENARIOS[place.scenario])]
    if not kept:
        raise InputError("--sweep: scenario none has no confounder; name others in --scenarios")
    return kept


def strength_folder(root, factor):
    """Where the experiment lies whose confounders are `factor` times as strong."""
    return os.path.join(root, f"strength-{factor:g}")


def make_sweep(root, design, factors, wanted, say=lambda text: None):
    """`make_rounds` with eta, nu and tau of the design times each factor, the first round of every strength first."""
    designs = {factor: design._replace(strengths=design.strengths.times(factor)) for factor in factors}
    for factor in factors:  # whether all folders can be gone on with, before hours are spent
        make_rounds(strength_folder(root, factor), designs[factor], [])
    for number in sorted({place.number for place in wanted}):
        places = [place for place in wanted if place.number == number]
        for factor in factors:
            make_rounds(strength_folder(root, factor), designs[factor], places,
                        lambda text, factor=factor: say(f"strength {factor:g}: {text}"))


def write_sweep(root, analysis, tables):
    """Write sweep.tsv and sweep.png, for an analysis that is not called main sweep_NAME.tsv and .png.

    Parameters
    ----------
    root, analysis : str
    tables : dict
        By strength, what `analyse` says over its rounds.

    Returns
    -------
    table : pandas.DataFrame
        Their rows with a column strength.
    name : str
        Of the files, without extension.
    """
    name = "sweep" if analysis == "main" else f"sweep_{analysis}"
    table = pd.concat([table.assign(strength=factor) for factor, table in tables.items()], ignore_index=True)
    table = table[["strength", *table.columns[:-1]]]
    with filelock.FileLock(os.path.join(root, LOCK)):  # several processes may share the rounds out
        write_tsv(os.path.join(root, f"{name}.tsv"), [table])
        with replacing(os.path.join(root, f"{name}.png")) as temporary:
            save(sweep_figure(table[table["exposure"] == EXPOSURE]), temporary, ".png")
    return table, name
