"""Effects of all mutants of the loci, written to a store (steps 1 to 4)."""

import hashlib
import logging
import os
import sys
from functools import partial

import numpy as np
from tqdm import tqdm

from .. import effects_store, mutagenesis
from ..errors import DiskFull, InputError, Stopped, printable
from ..files import disk_full_told, locked
from ..mutagenesis import engines
from ..options import PredictOptions
from ..runs import manifest
from ..runs.folder import make_folder
from .disk import check_disk
from .duration import TimeTold
from .progress import counting

GO_ON = "the same command goes on from there"

log = logging.getLogger(__name__)


def predict_settings(chosen, loci, options=None, **changes):
    """What decides the contents of effects.zarr; two stores with equal settings are equal."""
    options = PredictOptions.of(options, **changes)
    digest = hashlib.sha256()
    for column in (loci.chrom, loci.start, loci.end, loci.strand, loci.name):
        digest.update("\n".join(map(str, column)).encode())
    digest.update(np.ascontiguousarray(loci.sequences).tobytes())
    if not loci.mutated.all():
        digest.update(np.packbits(loci.mutated).tobytes())
    ensemble, plan = chosen.ensemble, loci.plan
    if plan:
        digest.update(plan.regions.tobytes())
        digest.update(plan.flanks.tobytes())
    return {**ensemble.settings, **(plan.to_json() if plan else {}), "engine": chosen.setting,
            "models": list(ensemble.checksums), "members": list(ensemble.names), "marks": list(ensemble.marks),
            "loci": len(loci), "loci_sha256": digest.hexdigest(), **options.to_json(without=("engine",))}


def predict(ensemble, selection, path, options=None, *, details=None, overwrite=False, quiet=False, cluster=None,
            **changes):
    """Effects of all mutants of the selected loci, written to a store (steps 1 to 4).

    A run of the same settings that was killed is resumed: the blocks of loci that it finished are kept.

    Parameters
    ----------
    ensemble : Ensemble
    selection : Selection
    path : str
        The store to write. If it holds the effects of the same settings, they are kept as they are.
    options : PredictOptions, optional
    details : dict, optional
        Further attributes of the store (JSON values).
    overwrite : bool
        Replace a store of other settings.
    quiet : bool
        No progress bar, and no estimate of the disk and the time that the effects take.
    cluster : Cluster, optional
        Where the effects are computed; by default in this process.
    **changes
        Options by name, in place of those of `options`.

    Returns
    -------
    dict of str to list of str
        For each reason the names of loci dropped: those of the selection, and those for which a model predicts what is
        no finite number. These keep their place in the store, with effects that are NaN.

    Raises
    ------
    InputError
        The store holds other effects, cannot be written, is being written by another run, or no locus has finite
        predictions; then nothing is left behind.
    Stopped
        A model, the disk or the cluster failed; what was finished is kept.
    """
    options = PredictOptions.of(options, **changes)
    chosen = engines.choose(ensemble, options.engine, selection.loci, quiet)
    details = {**(details or {}), **of_models(chosen)}
    settings = predict_settings(chosen, selection.loci, options)
    path = os.path.realpath(path)
    if not effects_store.is_replaceable(path):
        raise InputError(f"-o {path}: there is something else of that name, and it is not a store of effects; choose "
                         "another name")
    if not overwrite and _is_finished(path, settings):
        return effects_store.open_effects(path).attrs["dropped"]
    make_folder(os.path.dirname(path))
    with locked(path):
        return predict_locked(chosen, selection, path, settings, details, overwrite, quiet, cluster)


def of_models(chosen):
    """What the store and run.json say of the models: their engines, and the recipe by which they are loaded again."""
    recipe = chosen.ensemble.recipe
    return {**chosen.to_json(), "recipe": recipe and recipe.to_json()}


def predict_locked(chosen, selection, path, settings, details, overwrite, quiet, cluster):
    """`predict` for one who holds the lock, by engines that are `chosen`."""
    ensemble, ddof, keep = chosen.ensemble, settings["ddof"], settings["keep"]
    damaged = not overwrite and os.path.exists(path)
    if damaged:
        if _is_finished(path, settings):
            return effects_store.open_effects(path).attrs["dropped"]
        effects_store.reopen(path)
    disk = check_disk(ensemble, selection.loci, path, keep)
    attributes = {"fasta_file": selection.fasta_file, **details, "settings": settings, "dropped": selection.dropped,
                  "versions": manifest.versions()}
    with disk_full_told(lambda: "nothing is kept"):
        writer = effects_store.Writer(path, selection.loci, ensemble.marks, ensemble.names, attributes,
                                      keep_members=keep == "members", replace=overwrite)
    if not quiet:
        for line in (disk, *chosen.notes()):
            tqdm.write(printable(line), file=sys.stderr)
    total = len(selection.loci)
    if damaged:
        log.warning("%s: damaged since it was written; %d of %d loci are predicted again", path,
                    total - writer.n_done, total)

    def kept():
        return f"{writer.n_done} of {total} loci are kept: {GO_ON}"

    def done(n=1):
        count(n)
        timed.add(n)

    compute = cluster.effects if cluster else _effects_here
    timed = TimeTold(total - writer.n_done, None if quiet else partial(tqdm.write, file=sys.stderr))
    with counting("predict", total, "locus", writer.n_done, quiet) as count:
        try:
            with disk_full_told(kept):
                for block, data, dropped in compute(chosen, selection.loci, writer.blocks(), ddof, keep, done):
                    writer.write(block, data, dropped)
                return _finished(writer, selection)
        except DiskFull:
            raise
        except (Stopped, KeyboardInterrupt) as error:
            raise type(error)(f"{error}\n{kept()}" if str(error) else kept()) from error
        except InputError as error:
            if writer.n_done and len(writer.dropped) < total:
                raise Stopped(f"{error}\n{kept()}") from error
            writer.discard()
            raise


def _effects_here(chosen, loci, blocks, ddof, keep, each):
    """Block, effects and dropped loci of one block after the other."""
    for block in blocks:
        yield block, *mutagenesis.effects_of_block(chosen, loci[block], ddof, keep, each)


def _finished(writer, selection):
    """Close a complete store; the names of all dropped loci by reason."""
    if len(writer.dropped) == len(selection.loci):
        raise InputError(f"no locus has predictions that are finite numbers; the first: {writer.dropped[0]}")
    dropped = dict(selection.dropped)
    if writer.dropped:
        dropped[mutagenesis.NOT_FINITE] = [str(selection.loci.name[i]) for i in writer.dropped]
    writer.close({"dropped": dropped} if writer.dropped else None)
    return dropped


def _is_finished(path, settings):
    """Whether there is a store of these settings, without damage; one of others is refused."""
    if not os.path.exists(path):
        return False
    differing = effects_store.differences(effects_store.settings_of(path), settings)
    if differing:
        raise InputError(f"{path}: it holds other effects ({'; '.join(differing[:3])}); "
                         "choose another name, or --overwrite")
    return not any(effects_store.damaged_chunks(path))
