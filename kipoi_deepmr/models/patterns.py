"""Models by pattern: 'epidermal_basset/*' names all its folds or replicates."""

import fnmatch
import glob
import os
import re
from collections.abc import Sequence

from ..errors import InputError, nearest, one_line

FILES_OF_A_MODEL = ("model.yaml", "model.yml", "seq_model.pkl")


def matching_models(texts: Sequence[str], source: str = "kipoi") -> list[str]:
    """The models that names and patterns stand for.

    Parameters
    ----------
    texts : sequence of str
        A name stays as it is. A pattern with `*`, `?` or `[...]` gives all models of the source whose names match, for
        the source `dir` all model directories, in natural order (2 before 10).
    source : str

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        A pattern matches no model, or a model is named twice.
    """
    found = [model for text in texts for model in (_matches(text, source) if _is_pattern(text) else [text])]
    for model in found:
        if found.count(model) > 1:
            raise InputError(f"model {model} is named twice")
    return found


def _matches(pattern, source):
    if source == "dir":
        found = [path for path in glob.glob(pattern) or glob.glob(_with_folders_escaped(pattern)) if _is_model(path)]
        known = [] if found else _model_folders(pattern)
    else:
        known = _models_of(source)
        found = fnmatch.filter(known, pattern)
    if not found:
        hint = nearest(pattern, known) if known else "; there are no models there"
        raise InputError(f"no model matches {pattern} in --source {source}{hint}")
    return sorted(found, key=_natural)


def _with_folders_escaped(pattern):
    """A pattern whose first folders, as far as they exist under these very names, stand for themselves."""
    parts = pattern.split("/")
    n = next((k for k in range(len(parts) - 1, 0, -1) if os.path.isdir("/".join(parts[:k]))), 0)
    return "/".join([glob.escape("/".join(parts[:n]))] * (n > 0) + parts[n:])


def _is_pattern(text):
    return any(letter in text for letter in "*?[") and not os.path.isdir(text)


def _is_model(path):
    return any(os.path.isfile(os.path.join(path, name)) for name in FILES_OF_A_MODEL)


def _model_folders(pattern):
    """Model directories below the part of a pattern that is a plain path, one or two levels down, for a hint."""
    folder = re.split(r"[*?[]", pattern)[0].rpartition("/")[0]
    while folder and not os.path.isdir(folder):
        folder = folder.rpartition("/")[0]
    below = glob.glob(os.path.join(glob.escape(folder), "*")) + glob.glob(os.path.join(glob.escape(folder), "*", "*"))
    return sorted((path for path in below if _is_model(path)), key=_natural)


def _models_of(source):
    import kipoi

    try:
        return [str(model) for model in kipoi.get_source(source).list_models()["model"]]
    except Exception as error:
        raise InputError(f"--source {source}: its models cannot be listed: {one_line(error)}") from error


def _natural(text):
    """Sort key by which numbers in names compare as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
