"""Direct effects of marks on each other from their total effects, and back."""

import numpy as np


def direct_of_total(total, causes=None):
    """Direct effects G from total effects: `G = I - V D`, V the inverse of R and D = diag(1 / V_jj).

    Parameters
    ----------
    total : (..., cause, mark) float64
        R, cause by outcome, with ones for the effect of a mark on itself.
    causes : (cause,) int, optional
        Numbers of the marks that are causes, by default all. The others act on no mark: their rows of R are those of
        the identity, and are left out here and everywhere else.

    Returns
    -------
    (..., cause, mark) float64
        Zeros for the effect of a mark on itself; NaN where R cannot be inverted.

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
    causes = _all_or(causes, total)
    direct = inverse_of_total(total, causes)
    direct[..., causes] /= _diagonal(direct[..., causes])[..., None, :]
    return _identity(causes, total.shape[-1]) - direct


def total_of_direct(direct):
    """Total effects R from direct effects G: `R_ij = M_ij / M_ii`, `M = (I - G)^-1`."""
    inverse = inverted(np.eye(direct.shape[-1]) - direct)
    return inverse / _diagonal(inverse)[..., :, None]


def inverse_of_total(total, causes=None):
    """The inverse V of total effects R, both without the rows of marks that are no causes: (..., cause, mark).

    With the causes first, `R = [[A, B], [0, I]]` and `V = [[A^-1, -A^-1 B], [0, I]]`.
    """
    causes = _all_or(causes, total)
    others, inverse = _others(causes, total), np.empty_like(total)
    own = inverted(total[..., causes])
    inverse[..., causes], inverse[..., others] = own, -(own @ total[..., others])
    return inverse


def change_of_direct(inverse, causes, rows, change):
    """How direct effects change with some rows of the total effects, to first order.

    Parameters
    ----------
    inverse : (cause, mark) float64
        `inverse_of_total` of the total effects.
    causes : (cause,) int
        Numbers of the marks that are causes.
    rows : (n,) int
        Rows of the total effects, (cause, mark), that change.
    change : (n, mark) float64
        Small changes of these; zero for the effect of a cause on itself.

    Returns
    -------
    (cause, mark) float64
    """
    own, others = inverse[:, causes], _others(causes, inverse)
    along = change[:, causes] @ inverse
    along[:, others] += change[:, others]
    moved = own[:, rows] @ along
    of_causes, scale = moved[:, causes], np.diag(own)
    of_causes -= own * (np.diag(of_causes) / scale)
    moved[:, causes] = of_causes / scale
    return moved


def variance_of_direct(total, variance, causes=None):
    """Variances of direct effects from those of total effects with independent errors, to first order.

    Parameters
    ----------
    total, variance : (cause, mark) float64
    causes : (cause,) int, optional
        Numbers of the marks that are causes, by default all.

    Returns
    -------
    (cause, mark) float64
    """
    causes = _all_or(causes, total)
    inverse, others = inverse_of_total(total, causes), _others(causes, total)
    own, of_causes, result = inverse[:, causes], variance[:, causes], np.empty_like(total)
    for k, scale in enumerate(np.diag(own)):
        left = own - np.outer(own[:, k], own[k]) / scale
        result[:, causes[k]] = left ** 2 @ (of_causes @ (own[:, k] / scale) ** 2)
    result[:, others] = own ** 2 @ (of_causes @ inverse[:, others] ** 2 + variance[:, others])
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


def _all_or(causes, total):
    return np.arange(total.shape[-1]) if causes is None else causes


def _others(causes, total):
    return np.setdiff1d(np.arange(total.shape[-1]), causes, assume_unique=True)


def _identity(causes, n_marks):
    """Rows of the identity: (cause, mark)."""
    identity = np.zeros((len(causes), n_marks))
    identity[np.arange(len(causes)), causes] = 1
    return identity
