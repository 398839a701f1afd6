"""Models saved by Keras 1 or 2, loaded where `keras` is Keras 3.

Kipoi's KerasModel imports the package `keras`; Keras 3 refuses what older versions wrote, tf_keras (Keras 2) reads it.
"""

import sys
from contextlib import contextmanager
from importlib.util import find_spec


def is_available():
    """Whether tf_keras is installed."""
    return find_spec("tf_keras") is not None


@contextmanager
def as_keras():
    """Within this context `import keras` gives tf_keras; afterwards all is as before."""
    import tf_keras  # noqa: F401  here, since it takes seconds and few need it

    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_keras(name)}
    legacy = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "tf_keras"}
    sys.modules.update({name.removeprefix("tf_"): module for name, module in legacy.items()})
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_keras(name)]:
            del sys.modules[name]
        sys.modules.update(ours)


def _is_keras(name):
    return name.split(".")[0] == "keras"
