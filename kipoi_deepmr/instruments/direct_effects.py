"""Direct effects of marks on each other from their total effects, and back."""

import numpy as np


def direct_of_total(total):
    """Direct effects G from total effects: `G = I - V D`, V the inverse of R and D = diag(1 / V_jj).

    Parameters
    ----------
    total : (..., mark, mark) float64
        R, cause by outcome, with ones on the diagonal.

    Returns
    -------
    (..., mark, mark) float64
        Zeros on the diagonal; NaN where R cannot be inverted.

    Notes
    -----
    A mutant that acts on mark i alone by a moves the marks by a row of `a M`, `M = (I - G)^-1`, so that
    `R_ij = M_ij / M_ii`. Then `V = (I - G) diag(M_ii)`, whose columns are those of I - G, scaled. Columns, not rows:
    the code of inspre divides by V_ii, its paper by V_jj.

    References
    ----------
    Hyttinen A, Eberhardt F, Hoyer PO (2012). J Mach Learn Res 13: 3387-3439 (single interventions).
    Brown BC, Morris JA, Lappalainen T, Knowles DA (2023). bioRxiv 2023.10.17.562905, equation 5.
    """
    inverse = inverted(total)
    return np.eye(total.shape[-1]) - inverse / _diagonal(inverse)[..., None, :]


def total_of_direct(direct):
    """Total effects R from direct effects G: `R_ij = M_ij / M_ii`, `M = (I - G)^-1`."""
    inverse = inverted(np.eye(direct.shape[-1]) - direct)
    return inverse / _diagonal(inverse)[..., :, None]


def change_of_direct(inverse, causes, change):
    """How direct effects change with the total effects of some causes, to first order.

    Parameters
    ----------
    inverse : (mark, mark) float64
        Of the total effects.
    causes : (n,) int
    change : (n, mark) float64
        Small changes of these rows of the total effects; zero for the effect of a cause on itself.

    Returns
    -------
    (mark, mark) float64
    """
    scale = np.diag(inverse)
    moved = inverse[:, causes] @ (change @ inverse)
    moved -= inverse * (np.diag(moved) / scale)
    moved /= scale
    return moved


def variance_of_direct(total, variance):
    """Variances of direct effects from those of total effects with independent errors, to first order.

    Parameters
    ----------
    total, variance : (mark, mark) float64

    Returns
    -------
    (mark, mark) float64
    """
    inverse = inverted(total)
    result = np.zeros_like(total)
    for j, scale in enumerate(np.diag(inverse)):
        left = inverse - np.outer(inverse[:, j], inverse[j]) / scale
        result[:, j] = left ** 2 @ (variance @ (inverse[:, j] / scale) ** 2)
    return result


def inverted(matrix):
    """The inverse of one or more matrices; NaN for those that have none."""
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        if matrix.ndim == 2:
            return np.full_like(matrix, np.nan)
        return np.stack([inverted(each) for each in matrix])


def _diagonal(matrix):
    return np.diagonal(matrix, axis1=-2, axis2=-1)
