"""What an analysis does to a stored round before it estimates: other members from its networks, a calibration."""

import os

import numpy as np

from .. import calibration, dna, pipeline
from ..errors import InputError
from ..files import replacing
from ..loci import parse_mutants
from ..loci.mutants import PAIRS, SINGLE, has_kind
from ..loci.mutants import REGIONS as REGION_MUTANTS
from ..models import Ensemble
from ..options import MutantOptions
from ..runs.manifest import versions
from .all_loci import REGIONS
from .graph_rounds import GraphDesign
from .round_folder import read_record
from .training import explained_variance

DDOF = 1  # of the stored effects
OF_REGIONS = (REGION_MUTANTS, PAIRS)
R2_TOLERANCE = 1e-3  # stored R^2 has four digits; that of other sequences is off by more


def check(levers, source, design):
    """Raise `InputError` where a round's networks cannot be used in this way.

    Parameters
    ----------
    levers : LeverOptions
    source : str
        Folder of the round.
    design : Design or GraphDesign
    """
    kinds = parse_mutants(levers.mutants or SINGLE)
    if has_kind(kinds, *OF_REGIONS) and isinstance(design, GraphDesign):
        raise InputError(f"--mutants {levers.mutants}: rounds of a graph have no regions; give windows or deletions")
    if levers.used:
        with _ensemble(source, levers, design) as ensemble:
            if levers.recalibration != "none":
                calibration.check_options(len(ensemble.names), levers.recalibration, DDOF, levers.noise_sd)


def moved_by(levers, source, folder, design):
    """Effects of a stored round with levers moved; what an earlier call left is kept.

    Parameters
    ----------
    levers : LeverOptions
    source : str
        Folder of the round, into which nothing is written.
    folder : str
        Of the round in the analysis: gets effects.zarr if networks are asked again, and calibration.json.
    design : Design or GraphDesign

    Returns
    -------
    effects_path : str
    calibration : str or None
    loci : str
        Folder with the test loci and their truth: the round's own, or one with those that it left out.
    """
    effects_path, path, loci = os.path.join(source, "effects.zarr"), None, source
    if not levers.used:
        return effects_path, path, loci
    with _ensemble(source, levers, design) as ensemble:
        if levers.predicts:
            effects_path = os.path.join(folder, "effects.zarr")
            loci = design.all_loci(source, folder) if levers.mutants else source
            kinds = MutantOptions.among({"mutants": levers.mutants, "instrument_regions": os.path.join(loci, REGIONS)})
            selection = pipeline.select_loci(ensemble, intervals_file=os.path.join(loci, "test_loci.bed"),
                                             fasta_file=os.path.join(loci, "test_loci.fa"), mutants=kinds)
            pipeline.predict(ensemble, selection, effects_path, ddof=DDOF, quiet=True)
        if levers.recalibration != "none":
            path = os.path.join(folder, "calibration.json")
            if not os.path.exists(path):
                _calibrate(ensemble, levers, source, path, design)
    return effects_path, path, loci


def _ensemble(source, levers, design):
    n, used = design.n_members, levers.use_members or design.n_members
    if used > n:
        raise InputError(f"--use_members {used}: the rounds have {n} networks each")
    settings = {"augment": list(levers.augment)} if levers.augment else {}
    if levers.mc_dropout:
        settings.update(mc_dropout=levers.mc_dropout, seed=design.seed)
    return Ensemble.from_kipoi([os.path.join(source, str(member)) for member in range(1, used + 1)], source="dir",
                               settings=settings)


def _calibrate(ensemble, levers, source, path, design):
    """Write the calibration of an ensemble by the sequences with which its training was validated."""
    record = read_record(source)
    bases, labels = design.validation_data(record)
    predicted = ensemble.predict(dna.BASES[bases])
    if not levers.mc_dropout:
        _check_drawn(source, predicted[::len(ensemble.names) // len(ensemble.models)], labels, record, ensemble.marks)
    how = {"recalibration": levers.recalibration, "ddof": DDOF, "noise_sd": levers.noise_sd}
    fitted = calibration.fit(predicted, labels.astype(np.float64), ensemble.marks, **how)
    fitted = fitted.of_models(calibration.settings_of_models(ensemble, DDOF))
    with replacing(path) as temporary:
        calibration.write(temporary, fitted, {"noise_sd": levers.noise_sd, "versions": versions()})


def _check_drawn(source, predicted, labels, record, marks):
    """Whether each network explains as much of the labels as it did when it was trained."""
    for of_member, member in zip(predicted, record["members"], strict=True):
        for mark, value in zip(marks, explained_variance(labels, of_member), strict=True):
            if not abs(value - member["validation_r2"][mark]) < R2_TOLERANCE:
                raise InputError(f"{source}: its validation sequences cannot be drawn again: member {member['member']} "
                                 f"explains {value:.4f} of {mark}'s variance, {member['validation_r2'][mark]:.4f} when "
                                 "it was trained; made by another version?")
