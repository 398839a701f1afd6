"""What a hosted model says when something is wrong; the driver turns it into an InputError."""

import re
from contextlib import contextmanager

from .surroundings import kept_surroundings


class ModelError(ValueError):
    """The model, or what is asked of it, cannot be used; the message is for the user."""


class ItemError(ModelError):
    """The dataloader fails on one of its items."""


class OutOfMemory(ModelError):
    """There is not enough memory for a batch of this size."""


@contextmanager
def model_code(what, kind=ModelError):
    """Within this context a model's own code runs: whatever it raises, sys.exit too, becomes a `kind` of ModelError.

    A `KeyboardInterrupt` is the user's and passes. Afterwards the process is as it was; see `kept_surroundings`.

    Parameters
    ----------
    what : str
        What fails, before a colon.
    kind : type
        A subclass of `ModelError`.

    Raises
    ------
    OutOfMemory
        There is not enough memory.
    ModelError
    """
    try:
        with kept_surroundings():
            yield
    except (KeyboardInterrupt, ModelError):
        raise
    except BaseException as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"{what}: it ran out of memory: {one_line(error)}") from error
        raise kind(f"{what}: {one_line(error)}") from error


def one_line(error):
    """Kind and text of an exception from elsewhere, on one line."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # Keras prints in bold
    return "{}: {}".format(type(error).__name__, " ".join(text.split())[:500])


def is_out_of_memory(error):
    """Whether an exception of Python, numpy, TensorFlow or PyTorch means that memory ran out."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    text = str(error).lower()
    return bool(kinds & {"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"}
                or "RuntimeError" in kinds and ("out of memory" in text or "can't allocate memory" in text))
