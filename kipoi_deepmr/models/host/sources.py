"""A Kipoi model from its name: any source, Keras 1 and 2 beside Keras 3, bpnet's own directories, network files."""

import logging
import os
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from . import bpnet, file_model
from .errors import ModelError, model_code, one_line

FRAMEWORKS = ("keras", "tf_keras", "tensorflow", "torch", "sklearn", "bpnet")


def load(model, source, in_worker, name, settings):
    """A loaded Kipoi model.

    Parameters
    ----------
    model : str
        Its name in its source; a directory or a network's file when the source is `dir`.
    source : str
    in_worker : bool
        Whether this process is the model's own.
    name : str
        What it is called in messages.
    settings : dict
        Of `session.HostedModel`, for a network's file.

    Raises
    ------
    ModelError
        The source or the model is not there, or the model cannot be loaded.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of batches of several sizes, as ours are
    if source == "dir" and not os.path.exists(model):
        raise ModelError(f"{name}: no such file or folder")
    if source == "dir" and file_model.is_file(model):
        return file_model.FileModel(model, settings, name)
    if settings.get("module"):
        raise ModelError(f"{name}: --module goes with the files of networks; this is a Kipoi model")
    import kipoi

    for package in ("kipoi", "kipoi_utils"):  # they warn of every field that a model.yaml leaves out or has too much
        logging.getLogger(package).setLevel(logging.ERROR)
    known = kipoi.config.model_sources()
    if source not in known:
        raise ModelError("--source {}: unknown; Kipoi's config.yaml has {}".format(source, ", ".join(known)))
    if source == "dir" and bpnet.is_seq_model(model):
        return bpnet.load(model, in_worker)
    if source == "dir" and not any(Path(model, "model." + suffix).is_file() for suffix in ("yaml", "yml")):
        raise ModelError(f"{name}: no model.yaml there; with --source dir a MODEL is a Kipoi model directory or the "
                         "file of a network")
    try:
        with model_code(f"model {name} cannot be loaded"):
            return kipoi.get_model(model, source=source)
    except ModelError as error:
        if _is_keras_model(model, source) and find_spec("tf_keras"):
            return _load_with_legacy_keras(model, source, name, error.__cause__)
        raise


def _load_with_legacy_keras(model, source, name, first_error):
    import kipoi

    what = f"model {name} cannot be loaded: with Keras 3: {one_line(first_error)}; with tf_keras"
    with model_code(what), legacy_keras():
        return kipoi.get_model(model, source=source)


def _is_keras_model(model, source):
    import kipoi

    try:
        with model_code("its model.yaml"):
            described = kipoi.get_source(source).get_model_descr(model)
    except ModelError:  # the model.yaml itself is unreadable: the first error tells more
        return False
    return described.type == "keras" or described.defined_as == "kipoi.model.KerasModel"


@contextmanager
def legacy_keras():
    """Within this context `import keras` gives tf_keras (Keras 2); afterwards all is as before.

    Kipoi's KerasModel imports the package `keras`; Keras 3 refuses what older versions wrote, tf_keras reads it.
    """
    import tf_keras  # noqa: F401  here, since it takes seconds and few need it

    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_keras(name)}
    legacy = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "tf_keras"}
    sys.modules.update({name[len("tf_"):]: module for name, module in legacy.items()})
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_keras(name)]:
            del sys.modules[name]
        sys.modules.update(ours)


def _is_keras(name):
    return name.split(".")[0] == "keras"


def files(model):
    """The files among a model's arguments: dict of name to absolute path (str)."""
    folder = Path(model.source_dir)
    found = {name: folder / value for name, value in (model.args or {}).items() if isinstance(value, str)}
    return {name: os.path.abspath(str(path)) for name, path in found.items() if path.is_file()}


def versions():
    """Versions of Python, numpy, Kipoi and the frameworks that this process has imported."""
    loaded = [name for name in ("numpy", "kipoi") + FRAMEWORKS if name in sys.modules]
    found = {name: str(getattr(sys.modules[name], "__version__", "?")) for name in loaded}
    return dict(found, python=".".join(map(str, sys.version_info[:3])))


def frameworks():
    """The deep-learning frameworks in use here, such as "keras 2.2.4, tensorflow 1.14.0"."""
    found = versions()
    return ", ".join(f"{name} {found[name]}" for name in FRAMEWORKS if name in found)


@contextmanager
def quiet():
    """Keep deep-learning frameworks from writing to stderr while they load, at the level below Python too."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    own = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(own, 2)
        os.close(own)
        os.close(nowhere)
