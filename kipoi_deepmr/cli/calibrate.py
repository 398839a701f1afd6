"""`calibrate`: observed values and the models' predictions in, a calibration file and its figure out."""

import os

import numpy as np

from .. import calibration
from .. import options as o
from ..errors import InputError
from ..files import file_checksum
from ..models.patterns import source_of
from ..pipeline.progress import counting
from ..plots import reliability_figure, save
from ..runs.manifest import versions
from . import summary

AT_A_TIME = 1024  # sequences, between two steps of the progress bar
MEASURED = ("n", "miscalibration_area", "coverage", "sharpness")


def calibration_of(arguments, ensemble, select, details, files):
    """Calibrate an ensemble, write the file and the figure.

    Parameters
    ----------
    arguments : argparse.Namespace
    ensemble : Ensemble
    select : callable
        Gives the selection of loci that arguments describe.
    details : dict
        Of the command, for the file.
    files : Writing

    Returns
    -------
    str
        What to print.

    Raises
    ------
    InputError
    """
    options, loci = o.CalibrateOptions.among(arguments), o.LociOptions.among(arguments)
    how = {"recalibration": options.recalibration, "ddof": options.ddof, "noise_sd": options.noise_sd}
    calibration.check_options(len(ensemble.names), **how)
    observed = _observed(options.observed, loci, ensemble, select)
    predicted = _predicted(ensemble, observed, arguments.quiet)
    fitted = calibration.fit(predicted, observed.values, ensemble.marks, **how)
    fitted = fitted.of_models(calibration.settings_of_models(ensemble, options.ddof))
    found = calibration.evaluate(predicted, observed.values, ensemble.marks, **how, seed=loci.seed)
    details = {**details, "noise_sd": options.noise_sd, "observed_file": os.path.abspath(options.observed),
               "observed_sha256": file_checksum(options.observed), "left_out": observed.left_out,
               "measured": [{name: getattr(one, name) for name in ("mark", "distribution", *MEASURED)}
                            for one in found], "versions": versions()}
    calibration.write(files.path, fitted, details)
    save(reliability_figure(found), files.beside("figure"))
    return summary.of_calibration(fitted, found, observed.left_out)


def inputs_of_calibration(arguments):
    """Files that the command reads."""
    return [arguments.observed, arguments.intervals_file, arguments.fasta_file, arguments.config,
            *(arguments.models if source_of(arguments.models, arguments.source) == "dir" else ())]


def _observed(path, loci, ensemble, select):
    """Sequences and their observed values, by loci or from the table itself."""
    key, names, values = calibration.read_observed(path, ensemble.marks)
    gives_loci = loci.dataloader_args or loci.intervals_file
    if key == "locus":
        if not gives_loci:
            raise InputError(f"{path} names loci: give them by --intervals_file and --fasta_file, or --dataloader_args")
        return calibration.observed_at_loci(path, names, values, select())
    unused = sorted(loci.chosen - {"seed"})
    if unused:
        raise InputError(f"{path} holds its own sequences: leave out {' and '.join(f'--{name}' for name in unused)}")
    if ensemble.needs_item:
        raise InputError("the models take more than DNA: give loci, and observed values by locus")
    return calibration.observed_of_sequences(path, names, values, ensemble.length)


def _predicted(ensemble, observed, quiet):
    """Predictions (member, n, mark) of all sequences."""
    n, items = len(observed.sequences), observed.item
    step = 1 if ensemble.needs_item else AT_A_TIME
    pieces = []
    with counting("calibrate", n, "sequence", quiet=quiet) as count:
        for first in range(0, n, step):
            chosen = observed.sequences[first:first + step]
            pieces.append(ensemble.predict(chosen, int(items[first]) if items[first] >= 0 else None))
            count(len(chosen))
    return np.concatenate(pieces, axis=1)
