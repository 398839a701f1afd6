"""What a run takes of the disk."""

import os
import shutil

from .. import effects_store
from ..errors import DiskFull


def check_disk(ensemble, loci, path, keep):
    """What the effects will take at most, and what there is, as a text; raises `DiskFull` if they cannot be held."""
    total = effects_store.bytes_on_disk(len(loci), ensemble.length, len(ensemble.names), len(ensemble.marks),
                                        keep == "members")
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    needed = max(0, total - effects_store.bytes_left_by_an_earlier_run(path))
    free = shutil.disk_usage(folder).free
    if needed > free:
        leaner = "" if keep == "summary" else ", --keep summary to store no member's effects"
        raise DiskFull(f"{path}: the effects take up to {_size(needed)}, and the disk has {_size(free)} free; "
                       f"take fewer loci (--n_loci){leaner}, or another disk")
    return f"disk: at most {_size(needed)} for {path}, {_size(free)} free"


def _size(n_bytes):
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"
