"""How many sequences a model is given at once where the user does not say: measured once, and remembered.

A batch's size may change the last bits of what a model predicts. What was measured is kept in the user's cache, so that
all runs of a model give the same bytes, whatever the machine is doing meanwhile; a store names the sizes used.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import filelock

from ..errors import InputError
from ..files import replacing, user_cache
from .host.session import BATCHES, DEFAULT_BATCH_SIZE
from .kipoi_model import KipoiModel

FORMAT = "2"
SECONDS_TO_WRITE = 10


def batch_size(model: KipoiModel) -> int:
    """The size measured for a model by this or an earlier process.

    Parameters
    ----------
    model : KipoiModel

    Returns
    -------
    int
        `host.session.DEFAULT_BATCH_SIZE` where the model fails meanwhile.
    """
    described = model.describe()
    key = json.dumps([described.checksum, described.length])
    path = _folder() / hashlib.sha256(key.encode()).hexdigest()
    known = _read(path)
    if known is not None:
        return known
    try:
        size = model.measure_batch()
    except InputError:  # it is told when it predicts
        return DEFAULT_BATCH_SIZE
    return _kept(path, size)


def _kept(path, size):
    """The size on file, which is another process's where that was first."""
    with suppress(OSError, filelock.Timeout, InputError):  # it is measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{path}.lock", timeout=SECONDS_TO_WRITE):
            known = _read(path)
            if known is not None:
                return known
            with replacing(path) as temporary:
                Path(temporary).write_text(f"{FORMAT} {size}\n")
    return size


def _read(path):
    """The size on file; None for a file that is none of ours, or of another version, which is written again."""
    with suppress(OSError, ValueError):
        written, size = path.read_text().split(" ")
        if written == FORMAT and int(size) in BATCHES:
            return int(size)
    return None


def _folder():
    return Path(user_cache()) / "batch_sizes"
