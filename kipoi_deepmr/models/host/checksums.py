"""The checksum of a model: over every file that its answers may depend on, and none that running it writes."""

import hashlib
import json
import os

CACHES = ("__pycache__", ".git", ".cache", ".ipynb_checkpoints", ".pytest_cache", ".DS_Store",
          "downloaded")  # Kipoi's downloads; those that a model uses are among its arguments
CACHED = (".pyc", ".pyo", ".fai", ".gzi", ".kipoi_deepmr.lock")
OURS = (".zarr", ".zarr.partial")  # what this package writes may lie in the model's folder
OF_RUN = ("run.json", "effects.zarr", "effects.zarr.partial")
WRITTEN = ".written_by_model"  # in the model's folder: a line for each file or folder/ that running it has made
FIRST_LINE = "# made by running this model, so kipoi_deepmr leaves them out of the model's checksum"
READ_BYTES = 1 << 20


class Files:
    """The files of a model's folder before its code has run.

    Parameters
    ----------
    folder : str
    """

    def __init__(self, folder):
        self._folder = folder
        self._before = files_below(folder)

    def note_written(self):
        """Remember, in the folder, which files the model has made since: they are not part of it."""
        now = files_below(self._folder)
        made = {_topmost(name, self._before) for name in now if name not in self._before}
        known = _noted(self._folder)
        if made <= known:
            return
        path = os.path.join(self._folder, WRITTEN)
        try:
            with open(f"{path}.{os.getpid()}", "w") as file:
                file.write("\n".join([FIRST_LINE] + sorted(made | known)) + "\n")
            os.replace(file.name, path)
        except OSError:  # nothing can be remembered there
            pass

    def own(self):
        """The model's own: dict of name relative to the folder to path."""
        noted = _noted(self._folder)
        return {name: path for name, path in self._before.items()
                if not any(name == each or each.endswith("/") and name.startswith(each) for each in noted)}


def files_below(folder):
    """All files below a folder but caches: dict of name relative to it to path; links are followed."""
    found, seen = {}, set()
    for here, folders, names in os.walk(str(folder), followlinks=True):
        real = os.path.realpath(here)
        is_run = here != str(folder) and any(name in OF_RUN for name in folders + names)
        if real in seen or is_run:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = [name for name in folders if name not in CACHES and not name.endswith(OURS)]
        for name in names:
            path = os.path.join(here, name)
            if name not in CACHES and not name.endswith(CACHED) and not name.startswith((WRITTEN, ".nfs")) \
                    and os.path.isfile(path):
                found[os.path.relpath(path, str(folder)).replace(os.path.sep, "/")] = path
    return found


def checksum(files, values):
    """SHA-256 over files, their names and JSON values.

    Parameters
    ----------
    files : dict of str to str
        Paths by names that are the same wherever the model lies.
    values : JSON values
    """
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{os.path.getsize(path)}\0".encode("utf-8", "surrogateescape"))
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(READ_BYTES), b""):
                digest.update(block)
    digest.update(json.dumps(values, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def of_arguments(folder, arguments):
    """A model's arguments: the files that they name (dict as of `files_below`), and the values that name none."""
    files, values = {}, {}
    for name, value in (arguments or {}).items():
        path = os.path.join(folder, value) if isinstance(value, str) else ""
        if path and os.path.isfile(path):
            files[f"{name}="] = path
        elif path and value and os.path.isdir(path):
            files.update({f"{name}={inner}": there for inner, there in files_below(path).items()})
        elif path and os.path.isabs(value):  # a prefix, as of TensorFlow's checkpoints
            above, start = os.path.split(path)
            files.update({f"{name}={each}": os.path.join(above, each) for each in _listed(above)
                          if each.startswith(start) and os.path.isfile(os.path.join(above, each))})
        else:
            values[name] = value
    return files, values


def _listed(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []


def _topmost(name, before):
    """The topmost folder of a file that is as new as it is, with / behind it; or the file."""
    parts = name.split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth]) + "/"
        if not any(known.startswith(above) for known in before):
            return above
    return name


def _noted(folder):
    try:
        with open(os.path.join(folder, WRITTEN)) as file:
            return {line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")}
    except (OSError, UnicodeDecodeError):
        return set()
