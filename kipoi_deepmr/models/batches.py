"""How many sequences a model is given at once where the user does not say: measured once, and remembered.

A batch's size may change the last bits of what a model predicts. What was measured is kept in the user's cache, so that
all runs of a model give the same bytes, whatever the machine is doing meanwhile; a store names the sizes used.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from ..errors import InputError
from ..files import user_cache
from .host.session import DEFAULT_BATCH_SIZE
from .kipoi_model import KipoiModel


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
    with suppress(OSError, ValueError):
        return int(path.read_text())
    try:
        size = model.measure_batch()
    except InputError:  # it is told when it predicts
        return DEFAULT_BATCH_SIZE
    return _kept(path, size)


def _kept(path, size):
    """The size on file, which is another process's where that was first."""
    own = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(str(size))
        with suppress(FileExistsError):
            os.link(own, path)
        size = int(path.read_text())
    with suppress(OSError):
        own.unlink()
    return size


def _folder():
    return Path(user_cache()) / "batch_sizes"
