"""Files: checksums, and writing them whole or not at all."""

import hashlib
import os
from contextlib import contextmanager

READ_BYTES = 1 << 20


def file_checksum(path):
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def replacing(path):
    """Give a temporary name beside `path` to write to; rename it to `path` at the end, remove it on failure."""
    temporary = f"{path}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
