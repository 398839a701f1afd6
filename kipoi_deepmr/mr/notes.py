"""The notes of a result: why a problem has no answer, in words for the column `note`."""

import numpy as np
import pandas as pd

NOT_PREDICTED = "the model's predictions are not finite"
NOT_FINITE = "an effect is not a finite number"
SE_ZERO = "a standard error is zero"
SE_NEGATIVE = "a standard error is negative"
SE_NOT_FINITE = "a standard error is not a finite number"
OUT_OF_RANGE = "the numbers are too large or too small to compute with"
NO_EXPOSURE = "all exposure effects are zero"
ZERO_EXPOSURE = "an exposure effect is zero"
NO_VARIATION = "no variation in the exposure effects"
TOO_ALIKE = "the effects on exposure and covariates are collinear"
TOO_WEAK = "the instruments are too weak"
EQUAL_RATIOS = "the ratios do not vary"
EQUAL_MEMBERS = "the members' estimates do not vary"
ALL_PENALIZED = "penalties leave too few instruments a weight"
NO_WEIGHT = "all weights are zero"
ON_ONE_LINE = "more than half of the instruments lie exactly on one line"
NO_RESIDUALS = "the instruments lie too nearly on one line"
NOT_CONVERGED = "the robust regression did not converge"
NO_ROBUST_VARIANCE = "the robust regression's variance is not positive"
NO_EXTRAPOLATED_VARIANCE = "the variance extrapolates to no positive number"
SINGULAR = "the covariance of the outcome errors is singular"
DEGENERATE = "errors whose correlation is 1 or -1 have no likelihood"
NO_MINIMUM = "no finite causal effect fits best"
NO_SOLUTION = "the estimating equations were not solved"
FLAT = "no causal effect is likelier than none"


def too_few(n, fewest):
    """Why n instruments are too few."""
    return f"{n} instrument{'s' * (n != 1)}, needs {fewest}"


def of_member(number, note):
    """Why a member's fit, by its number from 1, leaves the pair without an answer."""
    return f"member {number}: {note}"


def separate_intervals(n):
    """What is special about an interval that spans several."""
    return f"the interval spans {n:.0f} separate ones"


class Coded:
    """Notes as numbers of a few texts, with what is done to an array of texts; many times faster.

    Parameters
    ----------
    codes : (...) int16
    texts : list of str
        The first is "". It grows where a new text is set, and may be shared.
    """

    def __init__(self, codes, texts):
        self.codes, self.texts = codes, texts

    @property
    def shape(self):
        """As of an array."""
        return self.codes.shape

    def __array__(self, dtype=None, copy=None):
        """The texts, for whatever takes an array."""
        return np.array(self.texts, dtype=object)[self.codes]

    def code(self, text):
        """The number of a text."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)

    def __eq__(self, text):
        return self.codes == self.code(text)

    def __ne__(self, text):
        return self.codes != self.code(text)

    __hash__ = None

    def __getitem__(self, index):
        return Coded(self.codes[index], self.texts)

    def __setitem__(self, index, value):
        self.codes[index] = self.code(value) if isinstance(value, str) else value.codes

    def copy(self):
        """As of an array."""
        return Coded(self.codes.copy(), self.texts)


def blank_like(notes):
    """Empty notes in the form of others."""
    if isinstance(notes, Coded):
        return Coded(np.zeros_like(notes.codes), notes.texts)
    return np.full(notes.shape, "", dtype=object)


def of_members(number, notes):
    """`of_member` of an array of notes, made once for each text."""
    if isinstance(notes, Coded):
        codes = np.zeros(len(notes.texts), np.int16)
        for code in np.unique(notes.codes).tolist():
            codes[code] = notes.code(of_member(number, notes.texts[code]))
        return Coded(codes[notes.codes], notes.texts)
    codes, known = pd.factorize(notes)
    return np.array([of_member(number, note) for note in known], dtype=object)[codes]
