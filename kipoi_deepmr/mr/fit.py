"""The estimators by name, and the fit of one problem."""

import inspect
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np

from ..errors import InputError, nearest
from ..methods import ALL_MEMBERS, COVARIATES, METHODS, OUTCOME_MEMBERS, Method
from . import estimators
from .diagnostics.strength import with_strength

DATA = ("bx", "sx", "by", "sy", "mask")
MORE_DATA = {COVARIATES: ("covariates", "covariates_se"), OUTCOME_MEMBERS: ("covariance", "by_members"),
             ALL_MEMBERS: ("bx_members", "by_members")}


def _function_of(method):
    function = getattr(import_module(f".{method.module}", estimators.__name__), method.name)
    return function if COVARIATES in method.needs else with_strength(function)  # which has a strength of its own


ESTIMATORS = {name: _function_of(method) for name, method in METHODS.items()}


@dataclass(frozen=True)
class Estimator:
    """A method with values of some of its options: a function of bx, sx, by, sy, mask and what the method needs."""

    method: Method
    options: dict = field(default_factory=dict)

    @property
    def function(self):
        return ESTIMATORS[self.method.name]

    def __call__(self, *data, **more):
        return self.function(*data, **self.options, **more)

    def with_options(self, **options):
        """The same with further values of options."""
        return Estimator(self.method, {**self.options, **options})


def fit(bx, sx, by, sy, method="egger", **options):
    """Estimate one causal effect.

    Parameters
    ----------
    bx, sx : (n,) arrays
        Effects of n instruments on the exposure and their standard errors.
    by, sy : (n,) arrays
        The same on the outcome.
    method : str
        A name in `kipoi_deepmr.methods.METHODS`.
    **options
        Those of the method, such as `alpha`, `model` or `distribution`; for methods that know how errors are
        correlated also `covariance` (n, n) or `bx_members` and `by_members` (members, n); for multivariable ones
        `covariates` and `covariates_se` (covariates, n).

    Returns
    -------
    MRResult
        Of numbers; NaN with a note where the problem has no solution.

    Raises
    ------
    InputError
        An unknown method or option, or arrays that are not numbers, not one-dimensional or not of one length.
    """
    names = set().union(*MORE_DATA.values())
    estimator, = bind([method], {name: value for name, value in options.items() if name not in names})
    more = {name: value for name, value in options.items() if name in names}
    unused = [name for name in more if name not in data_of(estimator.method)]
    if unused:
        raise InputError(f"method {method!r} does not take {', '.join(unused)}")
    arrays = {"bx": bx, "sx": sx, "by": by, "sy": sy}
    arrays = {name: _numbers(name, values, 1) for name, values in arrays.items()}
    more = {name: _numbers(name, values, 2) for name, values in more.items()}
    lengths = {name: values.shape[-1] for name, values in {**arrays, **more}.items()}
    if len(set(lengths.values())) > 1:
        raise InputError("unequal lengths: " + ", ".join(f"{name} {length}" for name, length in lengths.items()))
    return estimator(**arrays, **more).as_scalars()


def data_of(method):
    """Names of the arrays that a method takes."""
    return {*DATA, *(name for need in method.needs for name in MORE_DATA[need])}


def _numbers(name, values, ndim):
    try:
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must hold numbers: {error}") from error
    if values.ndim != ndim:
        raise InputError(f"{name} must have {('one dimension', 'two dimensions')[ndim - 1]}, not {values.ndim}")
    return values


def bind(methods, options):
    """The estimators of some methods, each with those of the options that it accepts.

    Parameters
    ----------
    methods : sequence of str
    options : dict

    Returns
    -------
    list of Estimator

    Raises
    ------
    InputError
        An unknown method, an option that none of the methods accepts, or an option's value that one refuses.
    """
    for method in methods:
        if method not in METHODS:
            raise InputError(f"unknown method {method!r}{nearest(method, METHODS)}")
    accepted = [set(inspect.signature(ESTIMATORS[m]).parameters) - data_of(METHODS[m]) for m in methods]
    known = sorted(set().union(*accepted))
    for option in options:
        if option not in known:
            raise InputError(f"no option {option!r} for {', '.join(methods)}{nearest(option, known)}")
    for method, names in zip(methods, accepted, strict=True):
        for option in set(options) & set(names):
            default = inspect.signature(ESTIMATORS[method]).parameters[option].default
            if isinstance(default, bool) and not isinstance(options[option], bool):
                raise InputError(f"{option} is true or false, not {options[option]!r}")
    bound = [Estimator(METHODS[m], {o: v for o, v in options.items() if o in a})
             for m, a in zip(methods, accepted, strict=True)]
    for estimator in bound:
        try:
            estimator(*np.empty((4, 0, 0)))  # refuses bad values of options before any work is done
        except (TypeError, ValueError) as error:
            raise error if isinstance(error, InputError) else InputError(
                f"an option of {', '.join(methods)} has a value that it cannot have: {options} ({error})") from error
    return bound
