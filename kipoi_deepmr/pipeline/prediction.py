"""Effects of all mutants of the loci, written to a store (steps 1 to 4)."""

import hashlib
import os
import sys

import numpy as np
from tqdm import tqdm

from .. import effects_store, mutagenesis
from ..errors import DiskFull, InputError, Stopped
from ..output import manifest
from .disk import check_disk, disk_full_told

GO_ON = "the same command goes on from there"


def predict_settings(ensemble, loci, ddof=1, keep="members"):
    """What decides the contents of effects.zarr; two stores with equal settings are equal."""
    digest = hashlib.sha256()
    for column in (loci.chrom, loci.start, loci.end, loci.strand, loci.name):
        digest.update("\n".join(map(str, column)).encode())
    digest.update(np.ascontiguousarray(loci.sequences).tobytes())
    return {**ensemble.settings, "models": list(ensemble.checksums), "members": list(ensemble.names),
            "marks": list(ensemble.marks), "loci": len(loci), "loci_sha256": digest.hexdigest(), "ddof": ddof,
            "keep": keep}


def predict(ensemble, selection, path, *, ddof=1, keep="members", details=None, overwrite=False, quiet=False,
            cluster=None):
    """Effects of all mutants of the selected loci, written to a store (steps 1 to 4).

    A run of the same settings that was killed is gone on with: the blocks of loci that it finished are kept.

    Parameters
    ----------
    ensemble : Ensemble
    selection : Selection
    path : str
        The store to write. If it holds the effects of the same settings, they are kept as they are.
    ddof : int
    keep : {"members", "summary"}
        Whether `member_effect` is stored.
    details : dict, optional
        Further attributes of the store (JSON values).
    overwrite : bool
        Replace a store of other settings.
    quiet : bool
        No progress bar, and no estimate of the disk that the effects take.
    cluster : Cluster, optional
        Where the effects are computed; by default in this process.

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
    settings = predict_settings(ensemble, selection.loci, ddof, keep)
    if os.path.exists(path) and not overwrite and _is_same_store(path, settings):
        return effects_store.open_effects(path).attrs["dropped"]
    with effects_store.locked(path):
        return predict_locked(ensemble, selection, path, settings, details, overwrite, quiet, cluster)


def predict_locked(ensemble, selection, path, settings, details, overwrite, quiet, cluster):
    """`predict` for one who holds the lock."""
    ddof, keep = settings["ddof"], settings["keep"]
    if os.path.exists(path) and not overwrite and _is_same_store(path, settings):
        return effects_store.open_effects(path).attrs["dropped"]
    disk = check_disk(ensemble, selection.loci, path, keep)
    attributes = {"settings": settings, "dropped": selection.dropped, "versions": manifest.versions(),
                  **(details or {})}
    with disk_full_told(lambda: "nothing is kept"):
        writer = effects_store.Writer(path, selection.loci, ensemble.marks, ensemble.names, attributes,
                                      keep_members=keep == "members", afresh=overwrite)
    if not quiet:
        tqdm.write(disk, file=sys.stderr)
    total = len(selection.loci)

    def kept():
        return f"{writer.n_done} of {total} loci are kept: {GO_ON}"

    compute = cluster.effects if cluster else _effects_here
    with tqdm(total=total, initial=writer.n_done, unit="locus", desc="predict", disable=quiet) as progress:
        try:
            with disk_full_told(kept):
                for block, data, dropped in compute(ensemble, selection.loci, writer.blocks(), ddof, keep,
                                                    progress.update):
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


def _effects_here(ensemble, loci, blocks, ddof, keep, each):
    """Block, effects and dropped loci of one block after the other."""
    for block in blocks:
        yield block, *mutagenesis.effects_of_block(ensemble, loci[block], ddof, keep, each)


def _finished(writer, selection):
    """Close a complete store; the names of all dropped loci by reason."""
    if len(writer.dropped) == len(selection.loci):
        raise InputError(f"no locus has predictions that are finite numbers; the first: {writer.dropped[0]}")
    dropped = dict(selection.dropped)
    if writer.dropped:
        dropped[mutagenesis.NOT_FINITE] = [str(selection.loci.name[i]) for i in writer.dropped]
    writer.close({"dropped": dropped} if writer.dropped else None)
    return dropped


def _is_same_store(path, settings):
    old = effects_store.open_effects(path).attrs.get("settings", {})
    differing = effects_store.differences(old, settings)
    if differing:
        raise InputError(f"{path}: it holds other effects ({'; '.join(differing[:3])}); "
                         "choose another name, or --overwrite")
    return True
