"""`kipoi_deepmr.run`: an ensemble and loci in, a `Result` out, by the code of the command."""

import os
from tempfile import TemporaryDirectory

from ..errors import InputError, nearest
from ..loci import Loci, Selection
from ..models import Ensemble
from ..options import AggregateOptions, EstimateOptions, MutantOptions, NetworkOptions, PredictOptions, without_effect
from ..runs import manifest
from . import running
from .mutants import planned
from .result import Result

STAGES = {"predict_options": PredictOptions, "aggregate_options": AggregateOptions, "network_options": NetworkOptions}


def run(ensemble, loci, output=None, *, overwrite=False, quiet=False, cluster=None, report=None,
        table_format=None, **options):
    """Predict all mutants of loci, estimate causal effects between the marks, and infer their network.

    It does what the command `kipoi deepmr run` does, by the same code and with the same defaults. A progress bar shows
    how far the predictions are.

    Parameters
    ----------
    ensemble : Ensemble
    loci : Loci or Selection
    output : str, optional
        Folder to keep, with everything that the command writes. If it holds the effects of the same models and loci,
        they are not predicted again; a run that was killed is resumed. Without, a temporary folder is used and removed
        with the result.
    overwrite : bool
        Replace what another run wrote to `output`.
    quiet : bool
        No progress bar.
    cluster : kipoi_deepmr.cluster.Cluster, optional
        Where mutants are predicted and loci fitted; for ensembles that `Ensemble.from_kipoi` made.
    report : bool, optional
        Whether report.html is written; by default if there is an `output`.
    table_format : str, optional
        Of the tables in `output`: tsv, the default, or parquet, which needs pyarrow.
    **options
        Options of the command by name, such as ``engine="naive"``, ``preset="quick"`` or ``method=["ivw", "egger"]``:
        those of `MutantOptions`, `PredictOptions`, `EstimateOptions`, `AggregateOptions` and `NetworkOptions`. Without
        a FASTA no VCF is written.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        An option is unknown or wrong, or loci do not fit the models.
    Stopped
        A model, the disk or the cluster failed; what was finished is kept in `output`.

    Examples
    --------
    docs/python.md
    """
    classes = (*STAGES.values(), EstimateOptions, MutantOptions)
    known = dict.fromkeys(name for kind in classes for name in kind.names())
    for name in options:
        if name not in known:
            raise InputError(f"run: unknown option {name!r}{nearest(name, known)}")
    without_effect(classes, options)
    selection = planned(_selection(ensemble, loci), ensemble.marks, MutantOptions.among(options))
    if not (selection.fasta_file or options.get("fasta_file") or options.get("vcf")):
        options["vcf"] = "none"
    temporary = None if output is not None else TemporaryDirectory(prefix="kipoi_deepmr_")
    folder = os.path.join(temporary.name, "run") if temporary else os.fspath(output)
    found = running.run(
        ensemble, selection, folder, **{stage: kind.among(options) for stage, kind in STAGES.items()},
        estimate_options=EstimateOptions.among(options),
        details={"command": ["kipoi_deepmr.run"], "directory": os.getcwd()}, overwrite=overwrite, quiet=quiet,
        cluster=cluster, report=not temporary if report is None else report, table_format=table_format)
    return Result(folder, found.local, found.global_, found.network, found.dropped, found.agreement,
                  _told=manifest.read(folder), _temporary=temporary)


def _selection(ensemble, loci):
    """What `running.run` takes, checked to fit the models."""
    if not isinstance(ensemble, Ensemble):
        raise InputError(f"ensemble: a {type(ensemble).__name__} is none; make it by Ensemble.from_torch, from_keras, "
                         "from_function or from_kipoi")
    selection = loci if isinstance(loci, Selection) else None
    loci = selection.loci if selection else loci
    if not isinstance(loci, Loci):
        raise InputError(f"loci: a {type(loci).__name__} is none; make them by Loci.from_bed or Loci.from_sequences")
    if not len(loci):
        raise InputError("loci: there are none")
    length = loci.sequences.shape[1]
    if ensemble.length not in (None, length):
        raise InputError(f"the loci have {length} bases, but the models take {ensemble.length}")
    if ensemble.needs_item and (loci.item < 0).any():
        raise InputError("the models take more than DNA, so that loci must come from their own dataloader: "
                         "kipoi_deepmr.pipeline.select_loci")
    n_dropped = sum(map(len, loci.dropped.values()))
    return selection or Selection(loci, loci.dropped, len(loci) + n_dropped, loci.fasta_file)
