"""Numbers as JSON keeps them short: a few significant digits, None for what is missing."""

import numpy as np


def rounded(values, digits=4):
    """A list of numbers with so many significant digits; None where one is not finite.

    Parameters
    ----------
    values : (n,) array
    digits : int
    """
    values = np.asarray(values, np.float64)
    return [float(f"{value:.{digits}g}") if finite else None
            for value, finite in zip(values.tolist(), np.isfinite(values).tolist(), strict=True)]
