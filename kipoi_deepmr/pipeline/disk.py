"""What a run takes of the disk."""

import os
import shutil

import numpy as np

from .. import effects_store
from ..errors import DiskFull


def check_disk(ensemble, loci, path, keep):
    """What the effects will take at most, and what there is, as a text; raises `DiskFull` if they cannot be held."""
    total = effects_store.bytes_on_disk(loci, len(ensemble.names), len(ensemble.marks), keep == "members",
                                        1.0 if loci.plan else _share(loci.mutated))
    needed, free = max(0, total - effects_store.bytes_left_by_an_earlier_run(path)), free_bytes(path)
    if needed > free:
        leaner = "" if keep == "summary" else ", --keep summary to store no member's effects"
        raise DiskFull(f"{path}: the effects take up to {size_in_words(needed)}, and the disk has "
                       f"{size_in_words(free)} free; take fewer loci (--n_loci){leaner}, or another disk")
    return f"disk: at most {size_in_words(needed)} for {path}, {size_in_words(free)} free"


def free_bytes(path):
    """Free space of the disk on which a file or folder lies, or will lie."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


def _share(mutated):
    """Share of positions that are mutated, and one more for each run of them: where a run ends costs a few bytes."""
    widened = mutated.copy()
    widened[:, 1:] |= mutated[:, :-1]
    return float(np.mean(widened))


def size_in_words(n_bytes):
    """A number of bytes as kB, MB or GB."""
    if n_bytes >= 1e9:
        return f"{n_bytes / 1e9:,.1f} GB"
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes >= 1e5 or not n_bytes else f"{n_bytes / 1e3:,.1f} kB"
