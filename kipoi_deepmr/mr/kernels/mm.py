"""MM-regression of many small problems at once: Tukey's bisquare, as R's robustbase::lmrob fits it.

The S-estimate is the line with the smallest M-scale of its residuals. Its search starts from lines through two
instruments (through one, without an intercept): from every such line where there are at most `CANDIDATES`, else from
`CANDIDATES` of them, spread evenly over the instruments in the order of x. As in R, each is improved by one step, and
the best are iterated to the end. R draws 500 lines at random; here nothing is.

References: Yohai VJ (1987), Ann Stat 15: 642-656. Salibian-Barrera M, Yohai VJ (2006), J Comput Graph Stat 15:
414-427. Croux C, Dhaene G, Hoorelbeke D (2003), KU Leuven DTEW 0316 (covariance). R: robustbase::lmrob,
robustbase::.vcov.avar1.
"""

import numpy as np

from ...compiled import compiled_fast
from .rows import in_threads

C_CHI, C_PSI, HALF = 1.54764, 4.685061, 0.5  # lmrob's tuning constants, and the value of the mean of chi
CANDIDATES = 136  # lines that the search starts from; all pairs of 17 instruments
KEPT_ALL, KEPT = 2, 5  # how many of them are iterated to the end: as in R where all are tried, else more
STEPS = 500
TOLERANCE = 1e-7  # of the S-estimate: lmrob's refine.tol, since its scale, which is not iterated further, depends on it
M_TOLERANCE = 1e-10  # of the MM-estimate, in standard deviations of the residuals
SAME_X = 1e-7  # as lmrob's solve.tol: points closer than this share of the largest x give no line
ZERO = 1e-10  # as lmrob's zero.tol: residuals below this share of the mean |y| are zero

SOLVED, EXACT, NOT_CONVERGED, SINGULAR = range(4)
FIELDS = ("slope", "slope_se", "intercept", "intercept_se", "scale", "rss", "status")


def fit(x, x_unit, y, root, intercept):
    """MM-fits of lines, or of lines through the origin.

    Parameters
    ----------
    x, y : (problem, point) float64
        At most 1 in size.
    x_unit : (problem,) float64
        What x was divided by: lmrob's tolerance is about coefficients of x as it came.
    root : (problem, point) float64
        Square roots of the weights, at most 1; points of weight 0 do not count.
    intercept : bool
        Whether the line has one.

    Returns
    -------
    dict of (problem,) arrays
        By the names of `FIELDS`: coefficients and their standard errors, the scale, the weighted residuals' sum of
        squares, and SOLVED, EXACT (the scale is 0), NOT_CONVERGED or SINGULAR (no line, or no positive variance).
    """
    out = np.full((len(x), len(FIELDS)), np.nan)
    in_threads(_fit_all, (x, x_unit, y, root, out), (intercept,))
    return dict(zip(FIELDS, out.T, strict=True))


@compiled_fast
def _fit_all(x, x_unit, y, root, out, intercept):
    size = x.shape[1]
    xs, ys, roots, e, scratch = np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    u, v, z = np.empty(size), np.empty(size), np.empty(size)
    best = np.empty((max(KEPT, KEPT_ALL), 3))
    for k in range(len(x)):
        n = _load(x[k], y[k], root[k], xs, ys, roots)
        _fit_one(xs[:n], ys[:n], roots[:n], u[:n], v[:n], z[:n], e[:n], scratch[:n], x_unit[k], intercept, best, out[k])


@compiled_fast
def _load(x, y, root, xs, ys, roots):
    """Copy the points of positive weight, in the order of x, y and weight; return how many there are."""
    n = 0
    for i in range(len(x)):
        if not root[i] > 0:
            continue
        j = n
        while j > 0 and (
            xs[j - 1] > x[i]
            or (xs[j - 1] == x[i] and (ys[j - 1] > y[i] or (ys[j - 1] == y[i] and roots[j - 1] > root[i])))
        ):
            xs[j], ys[j], roots[j] = xs[j - 1], ys[j - 1], roots[j - 1]
            j -= 1
        xs[j], ys[j], roots[j] = x[i], y[i], root[i]
        n += 1
    return n


@compiled_fast
def _fit_one(x, y, root, u, v, z, e, e_s, x_unit, intercept, best, out):
    """One problem; u, v and z become the columns of the weighted regression, e and e_s residuals."""
    n = len(x)
    p = 2 if intercept else 1
    centre, total = 0.0, 0.0
    for i in range(n):
        total += root[i] * root[i]
        centre += root[i] * root[i] * x[i]
    centre = centre / total if intercept else 0.0
    for i in range(n):
        x[i] -= centre
        u[i], v[i], z[i] = root[i] if intercept else 0.0, root[i] * x[i], root[i] * y[i]
    if n <= p:
        out[6] = SINGULAR
        return
    a, b, size, status = _s_estimate(x, y, u, v, z, p, centre, x_unit, best, e, e_s)
    scale = np.sqrt(size) / C_CHI
    if status == SOLVED:
        _residuals(u, v, z, a, b, e_s)
        a, b, status = _m_estimate(u, v, z, a, b, scale, p, e)
    if status == SOLVED:
        slope_variance = _variance(u, v, e, e_s, scale, p, 0.0, 1.0)
        intercept_variance = _variance(u, v, e, e_s, scale, p, 1.0, -centre)
        if not (slope_variance > 0 and (intercept_variance > 0 or p == 1)):
            status = SINGULAR
        out[0], out[1], out[2], out[3] = b, np.sqrt(slope_variance), a - b * centre, np.sqrt(intercept_variance)
        out[4], out[5] = scale, 0.0
        for i in range(n):
            out[5] += e[i] * e[i]
    out[6] = status


@compiled_fast
def _s_estimate(x, y, u, v, z, p, centre, x_unit, best, e, scratch):
    """Coefficients of the S-estimate, (C_CHI scale)^2, and SOLVED, EXACT, SINGULAR or NOT_CONVERGED."""
    n = len(x)
    lines = n * (n - 1) // 2 if p == 2 else n
    kept = KEPT_ALL if lines <= CANDIDATES else KEPT
    target = HALF * (n - p)
    zero, worst, i, j = 0.0, 0, 0, 0
    for k in range(n):
        zero += ZERO * abs(z[k]) / n
    for row in range(len(best)):
        best[row, 2] = np.inf
    for k in range(min(lines, CANDIDATES)):
        i, j = _points(k, i, j, n, p, lines)
        if (x[j] - x[i] if p == 2 else abs(x[i])) <= SAME_X:
            continue
        b = (y[j] - y[i]) / (x[j] - x[i]) if p == 2 else y[i] / x[i]
        a = y[i] - b * x[i] if p == 2 else 0.0
        _residuals(u, v, z, a, b, e)
        start = 1.4826 * _median_size(e, scratch)
        if start == 0 or _count_small(e, zero) > n / 2:
            return a, b, 0.0, EXACT
        size = (C_CHI * start) ** 2
        size *= _sum_chi(e, size) / target
        da, db, _ = _step(u, v, e, size, p)
        _residuals(u, v, z, a + da, b + db, e)
        if _sum_chi(e, best[worst, 2]) < target:
            best[worst, 0], best[worst, 1], best[worst, 2] = a + da, b + db, _m_scale(e, target, size)
            for row in range(kept):
                if best[row, 2] > best[worst, 2]:
                    worst = row
    return _best(u, v, z, p, centre, x_unit, best, kept, e)


@compiled_fast
def _points(k, i, j, n, p, lines):
    """The two points of the k-th line, in the order of x, where (i, j) are those of the line before."""
    if p == 1:
        i = k if lines <= CANDIDATES else k * n // CANDIDATES
        return i, i
    if lines <= CANDIDATES:
        return (i, j + 1) if j + 1 < n else (i + 1, i + 2)
    i, j = int(n * (0.7548776662466927 * k % 1.0)), int(n * (0.5698402909980532 * k % 1.0))  # Roberts' R2 sequence
    if i == j:
        j = (i + n // 2) % n
    return min(i, j), max(i, j)


@compiled_fast
def _best(u, v, z, p, centre, x_unit, starts, kept, e):
    """Iterate each start to its S-estimate; the one with the smallest scale."""
    n = len(e)
    target = HALF * (n - p)
    a, b, smallest, status = 0.0, 0.0, np.inf, SINGULAR
    for row in range(kept):
        a_row, b_row, size = starts[row, 0], starts[row, 1], starts[row, 2]
        if size == np.inf:
            continue
        _residuals(u, v, z, a_row, b_row, e)
        converged = False
        for _ in range(STEPS):
            size *= _sum_chi(e, size) / target
            da, db, _ = _step(u, v, e, size, p)
            converged = _norm(da, db, centre, x_unit) <= TOLERANCE * _norm(a_row, b_row, centre, x_unit)
            a_row, b_row = a_row + da, b_row + db
            if converged:
                break
            _residuals(u, v, z, a_row, b_row, e)
        if size < smallest:
            a, b, smallest, status = a_row, b_row, size, SOLVED if converged else NOT_CONVERGED
    return a, b, smallest, status


@compiled_fast
def _norm(a, b, centre, x_unit):
    """Length of (intercept, slope) in units of x as they came, which is what lmrob's tolerance speaks of."""
    return np.hypot(a - b * centre, b / x_unit)


@compiled_fast
def _m_estimate(u, v, z, a, b, scale, p, e):
    """Iterate the coefficients at the S-estimate's scale; SOLVED or NOT_CONVERGED. Leaves the residuals in `e`."""
    size = (C_PSI * scale) ** 2
    _residuals(u, v, z, a, b, e)
    for _ in range(STEPS):
        da, db, change = _step(u, v, e, size, p)
        a, b = a + da, b + db
        _residuals(u, v, z, a, b, e)
        if change <= M_TOLERANCE**2 * size:
            return a, b, SOLVED
    return a, b, NOT_CONVERGED


@compiled_fast
def _residuals(u, v, z, a, b, e):
    for i in range(len(e)):
        e[i] = z[i] - a * u[i] - b * v[i]


@compiled_fast
def _sum_chi(e, size):
    """Sum of chi(e / scale), for size = (C_CHI scale)^2."""
    total = 0.0
    for i in range(len(e)):
        m = max(0.0, 1.0 - e[i] * e[i] / size)
        total += 1.0 - m * m * m
    return total


@compiled_fast
def _step(u, v, e, size, p):
    """Both coefficients' changes in a least-squares step with bisquare weights; sum of squares of the fit's change."""
    uu, uv, vv, ue, ve = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(e)):
        m = max(0.0, 1.0 - e[i] * e[i] / size)
        m *= m
        uu += m * u[i] * u[i]
        uv += m * u[i] * v[i]
        vv += m * v[i] * v[i]
        ue += m * u[i] * e[i]
        ve += m * v[i] * e[i]
    if p == 1:
        return 0.0, ve / vv, ve * ve / vv
    determinant = uu * vv - uv * uv
    da, db = (vv * ue - uv * ve) / determinant, (uu * ve - uv * ue) / determinant
    return da, db, da * ue + db * ve


@compiled_fast
def _m_scale(e, target, size):
    """Solve sum chi(e / scale) = target for size = (C_CHI scale)^2, by Newton's steps in its logarithm."""
    for _ in range(STEPS):
        total, slope = 0.0, 0.0
        for i in range(len(e)):
            t = e[i] * e[i] / size
            m = max(0.0, 1.0 - t)
            total += 1.0 - m * m * m
            slope += 3.0 * t * m * m
        change = min(max((total - target) / slope, -1.0), 1.0)
        size *= np.exp(change)
        if abs(change) < 1e-9:
            break
    return size


@compiled_fast
def _count_small(e, limit):
    count = 0
    for i in range(len(e)):
        count += abs(e[i]) <= limit
    return count


@compiled_fast
def _median_size(e, sizes):
    """Median of |e| by Hoare's selection; `sizes` is overwritten."""
    n = len(e)
    for i in range(n):
        sizes[i] = abs(e[i])
    middle, low, high = n // 2, 0, n - 1
    while low < high:
        pivot, i, j = sizes[middle], low, high
        while i <= j:
            while sizes[i] < pivot:
                i += 1
            while sizes[j] > pivot:
                j -= 1
            if i <= j:
                sizes[i], sizes[j] = sizes[j], sizes[i]
                i += 1
                j -= 1
        if j < middle:
            low = i
        if middle < i:
            high = j
    below = sizes[middle]
    if n % 2 == 0:
        below = sizes[0]
        for i in range(1, middle):
            below = max(below, sizes[i])
    return (below + sizes[middle]) / 2


@compiled_fast
def _variance(u, v, e, e_s, scale, p, l0, l1):
    """Variance of l0 a + l1 b by .vcov.avar1, from the residuals of the MM-estimate and of the S-estimate."""
    n = len(e)
    psi_size, chi_size = (C_PSI * scale) ** 2, (C_CHI * scale) ** 2
    uu, uv, vv = 0.0, 0.0, 0.0
    for i in range(n):
        t = e[i] * e[i] / psi_size
        derivative = max(0.0, 1.0 - t) * (1.0 - 5.0 * t)
        uu += derivative * u[i] * u[i]
        uv += derivative * u[i] * v[i]
        vv += derivative * v[i] * v[i]
    if p == 1:
        h0, h1 = 0.0, scale * l1 / vv
    else:
        determinant = uu * vv - uv * uv
        h0, h1 = scale * (vv * l0 - uv * l1) / determinant, scale * (uu * l1 - uv * l0) / determinant
    squares, crossed, along, slope, spread = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        d, r = h0 * u[i] + h1 * v[i], e[i] / scale
        t, t_s = e[i] * e[i] / psi_size, e_s[i] * e_s[i] / chi_size
        m, m_s = max(0.0, 1.0 - t), max(0.0, 1.0 - t_s)
        psi, chi = r * m * m, 1.0 - m_s * m_s * m_s
        squares += psi * psi * d * d
        crossed += psi * chi * d
        along += m * (1.0 - 5.0 * t) * r * d
        slope += 6.0 * t_s * m_s * m_s
        spread += chi * chi - HALF * HALF
    along /= slope / n
    return squares - 2.0 * along * crossed / n + spread * along * along / (n * n)
