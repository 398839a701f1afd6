"""The methods by name, and the fit of one problem."""

import inspect
from functools import partial

import numpy as np

from ..errors import InputError, nearest
from .diagnostics.strength import with_strength
from .estimators.contamination import contamination_mixture
from .estimators.correlated import egger_correlated, ivw_correlated
from .estimators.divw import divw
from .estimators.lasso import lasso
from .estimators.likelihood import max_likelihood
from .estimators.median import median_penalized, median_simple, median_weighted
from .estimators.mode import mode_simple, mode_weighted
from .estimators.multivariable import mvmr_egger, mvmr_ivw
from .estimators.raps import raps
from .estimators.ratio import wald_mean
from .estimators.regression import egger, egger_robust, ivw
from .estimators.simex import egger_simex
from .estimators.two_stage import two_stage_least_squares

METHODS = {name: with_strength(estimator) for name, estimator in {
    "wald_mean": wald_mean, "ivw": ivw, "egger": egger, "egger_robust": egger_robust,
    "egger_simex": egger_simex,
    "median_simple": median_simple, "median_weighted": median_weighted, "median_penalized": median_penalized,
    "mode_simple": mode_simple, "mode_weighted": mode_weighted, "raps": raps, "divw": divw,
    "max_likelihood": max_likelihood, "contamination_mixture": contamination_mixture, "lasso": lasso,
    "ivw_correlated": ivw_correlated, "egger_correlated": egger_correlated,
    "two_stage_least_squares": two_stage_least_squares,
}.items()} | {"mvmr_ivw": mvmr_ivw, "mvmr_egger": mvmr_egger}  # which have a strength of their own
DATA = ("bx", "sx", "by", "sy", "mask")
MORE_DATA = ("covariance", "bx_members", "by_members", "covariates", "covariates_se")  # of some methods


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
    estimator, = bind([method], {name: value for name, value in options.items() if name not in MORE_DATA})
    more = {name: value for name, value in options.items() if name in MORE_DATA}
    unused = [name for name in more if not takes(estimator, name)]
    if unused:
        raise InputError(f"method {method!r} does not take {', '.join(unused)}")
    arrays = {name: _numbers(name, values, 1) for name, values in zip(DATA, (bx, sx, by, sy))}
    more = {name: _numbers(name, values, 2) for name, values in more.items()}
    lengths = {name: values.shape[-1] for name, values in {**arrays, **more}.items()}
    if len(set(lengths.values())) > 1:
        raise InputError("unequal lengths: " + ", ".join(f"{name} {length}" for name, length in lengths.items()))
    return estimator(**arrays, **more).as_scalars()


def takes(estimator, name):
    """Whether an estimator, as `bind` gives it, has a parameter of that name."""
    return name in inspect.signature(estimator.func).parameters


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
    list of callables of (bx, sx, by, sy, mask)

    Raises
    ------
    InputError
        An unknown method, an option that none of the methods accepts, or an option's value that one refuses.
    """
    for method in methods:
        if method not in METHODS:
            raise InputError(f"unknown method {method!r}{nearest(method, METHODS)}")
    accepted = [[p for p in inspect.signature(METHODS[m]).parameters if p not in DATA + MORE_DATA] for m in methods]
    known = sorted(set().union(*accepted))
    for option in options:
        if option not in known:
            raise InputError(f"no option {option!r} for {', '.join(methods)}{nearest(option, known)}")
    for method, names in zip(methods, accepted):
        for option in set(options) & set(names):
            default = inspect.signature(METHODS[method]).parameters[option].default
            if isinstance(default, bool) and not isinstance(options[option], bool):
                raise InputError(f"{option} is true or false, not {options[option]!r}")
    bound = [partial(METHODS[m], **{o: v for o, v in options.items() if o in a}) for m, a in zip(methods, accepted)]
    for estimator in bound:
        try:
            estimator(*np.empty((4, 0, 0)))  # refuses bad values of options before any work is done
        except (TypeError, ValueError) as error:
            raise error if isinstance(error, InputError) else InputError(
                f"an option of {', '.join(methods)} has a value that it cannot have: {options} ({error})") from error
    return bound
