"""Engines that approximate mutants from one sequence's slopes; never chosen unless asked for by name."""

from collections.abc import Callable
from functools import partial

from ..errors import InputError, Stopped
from ..models import Model
from ..models.host.attributions import METHODS
from .unusable import Unusable

WHY = {
    "gradient": "an approximation, as asked: the gradient at each sequence times the change",
    "integrated_gradients": "an approximation, as asked: the mean gradient on the way to a sequence times the change",
    "deeplift": "an approximation, as asked: DeepLIFT's multipliers times the change",
}


def make(method: str, model: Model, probes: list, quiet: bool, used: list) -> tuple[Callable, None, str]:
    """What `engines.MAKERS` asks for: mutants by one of `host.attributions.METHODS`, tried on the first probe.

    Raises
    ------
    Unusable
        The model is none that a framework can differentiate, or its Python adds to it what none can.
    """
    if not hasattr(model, "approximate"):
        raise Unusable("it is no Kipoi model")
    mutants = partial(model.approximate, method=method)
    try:
        for sequence, item in probes[:1]:
            mutants(sequence, item)
    except Stopped:
        raise
    except InputError as error:
        raise Unusable(str(error).removeprefix(f"model {model.describe().name}: ")) from error
    return mutants, None, WHY[method]


MAKERS = {method: partial(make, method) for method in METHODS}
