"""The methods by name, and the fit of one problem."""

import inspect
from functools import partial

import numpy as np

from ..errors import InputError, nearest
from .ratio import wald_mean
from .regression import egger, ivw

METHODS = {"wald_mean": wald_mean, "ivw": ivw, "egger": egger}
DATA = ("bx", "sx", "by", "sy", "mask")


def fit(bx, sx, by, sy, method="egger", **options):
    """Estimate one causal effect.

    Parameters
    ----------
    bx, sx : (n,) arrays
        Effects of n instruments on the exposure and their standard errors.
    by, sy : (n,) arrays
        The same on the outcome.
    method : str
        A name in `METHODS`.
    **options
        Those of the method, such as `alpha`, `model` or `distribution`.

    Returns
    -------
    MRResult
        Of numbers; NaN with a note where the problem has no solution.

    Raises
    ------
    InputError
        An unknown method or option, or arrays that are not numbers, not one-dimensional or not of one length.
    """
    estimator, = bind([method], options)
    arrays = {}
    for name, values in zip(DATA, (bx, sx, by, sy)):
        try:
            arrays[name] = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} must hold numbers: {error}") from error
        if arrays[name].ndim != 1:
            raise InputError(f"{name} must have one dimension, not {arrays[name].ndim}")
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InputError("unequal lengths: " + ", ".join(f"{name} {length}" for name, length in lengths.items()))
    return estimator(**arrays).as_scalars()


def bind(methods, options):
    """The estimators of some methods, each with those of the options that it accepts.

    Parameters
    ----------
    methods : sequence of str
    options : dict

    Returns
    -------
    list of callables of (bx, sx, by, sy, mask)

    Raises
    ------
    InputError
        An unknown method, an option that none of the methods accepts, or an option's value that one refuses.
    """
    for method in methods:
        if method not in METHODS:
            raise InputError(f"unknown method {method!r}{nearest(method, METHODS)}")
    accepted = [[p for p in inspect.signature(METHODS[m]).parameters if p not in DATA] for m in methods]
    known = sorted(set().union(*accepted))
    for option in options:
        if option not in known:
            raise InputError(f"no option {option!r} for {', '.join(methods)}{nearest(option, known)}")
    bound = [partial(METHODS[m], **{o: v for o, v in options.items() if o in a}) for m, a in zip(methods, accepted)]
    for estimator in bound:
        estimator(*np.empty((4, 0, 0)))  # refuses bad values of options before any work is done
    return bound
