"""Models by pattern: 'epidermal_basset/*' names all its folds or replicates."""

import fnmatch
import glob
import os
import re
from collections.abc import Sequence

from ..errors import InputError, nearest, one_line

FILES_OF_A_MODEL = ("model.yaml", "model.yml", "seq_model.pkl", "saved_model.pb")
SUFFIXES = (".pt", ".pth", ".pt2", ".ckpt", ".safetensors", ".keras", ".h5", ".hdf5")  # of networks' files


def source_of(texts: Sequence[str], source: str | None = None) -> str:
    """The source of models: the one that is given, else `dir` if they are paths, else `kipoi`, the zoo.

    Parameters
    ----------
    texts : sequence of str
        As for `matching_models`. A path is what names a file, a Kipoi directory or a pattern of these that exist, or
        ends as the files of networks do.
    source : str, optional

    Raises
    ------
    InputError
        Some are paths and some are not.
    """
    if source is not None:
        return source
    paths = [text for text in texts if _is_path(text)]
    others = [text for text in texts if text not in paths]
    if paths and others:
        raise InputError(f"{others[0]}: no such file or model directory, but {paths[0]} is one; give --source dir or "
                         "--source kipoi if you mean so")
    return "dir" if paths else "kipoi"


def short_name(name: str) -> str:
    """The last part of a model's name or path, without the suffix of a network's file."""
    last = os.path.basename(os.path.normpath(name))
    stem, suffix = os.path.splitext(last)
    return stem.removesuffix(".weights") or stem if suffix.lower() in SUFFIXES else last


def _is_path(text):
    if text.lower().endswith(SUFFIXES) or text.startswith((".", os.path.sep)):
        return True
    if _is_pattern(text):
        return any(_is_model(path) for path in _matched(text)) or bool(_network_files(text))
    return os.path.isfile(text) or _is_model(text)


def matching_models(texts: Sequence[str], source: str | None = None) -> list[str]:
    """The models that names and patterns stand for.

    Parameters
    ----------
    texts : sequence of str
        A name stays as it is. A pattern with `*`, `?` or `[...]` gives all models of the source whose names match, in
        natural order (2 before 10); for the source `dir` all model directories or, where none matches, all files of
        networks.
    source : str, optional
        As for `source_of`.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        A pattern matches no model, or a model is named twice.
    """
    source = source_of(texts, source)
    found = [model for text in texts for model in (_matches(text, source) if _is_pattern(text) else [text])]
    for model in found:
        if found.count(model) > 1:
            raise InputError(f"model {model} is named twice")
    return found


def _matches(pattern, source):
    if source == "dir":
        found = [path for path in _matched(pattern) if _is_model(path)] or _network_files(pattern)
        known = [] if found else _model_folders(pattern)
    else:
        known = _models_of(source)
        found = fnmatch.filter(known, pattern)
    if not found:
        hint = nearest(pattern, known) if known else "; there are no models there"
        raise InputError(f"no model matches {pattern} in --source {source}{hint}")
    return sorted(found, key=_natural)


def _matched(pattern):
    """Files and folders that a pattern matches."""
    return glob.glob(pattern) or glob.glob(_with_folders_escaped(pattern))


def _with_folders_escaped(pattern):
    """A pattern whose first folders, as far as they exist under these very names, stand for themselves."""
    parts = pattern.split("/")
    n = next((k for k in range(len(parts) - 1, 0, -1) if os.path.isdir("/".join(parts[:k]))), 0)
    return "/".join([glob.escape("/".join(parts[:n]))] * (n > 0) + parts[n:])


def _is_pattern(text):
    return any(letter in text for letter in "*?[") and not os.path.exists(text)


def _network_files(pattern):
    """Files that a pattern matches: all if it ends in a suffix, else those with the suffix of a network's file."""
    suffix = os.path.splitext(pattern)[1]
    is_said = bool(suffix) and not any(letter in suffix for letter in "*?[")
    return [path for path in _matched(pattern)
            if os.path.isfile(path) and (is_said or path.lower().endswith(SUFFIXES))]


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
