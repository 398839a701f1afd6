"""What the terminal says of numbers."""

import pandas as pd

from kipoi_deepmr.cli import summary


def test_a_p_value_too_small_for_a_number_is_no_zero():
    table = pd.DataFrame({
        "exposure": ["A", "B"], "outcome": ["B", "A"], "method": "egger", "n_loci": 9, "se": 0.05,
        "estimate": [2.0, 0.1],
        "ci_low": [1.9, 0.0], "ci_high": [2.1, 0.2], "pvalue": [0.0, 0.04], "tau": 0.0, "standardised": [0.9, 0.1],
        "verdict": ["direct effect", "no effect beyond the minimum"], "reason": ""})
    strongest, other = summary.of_global(table).splitlines()[-2:]
    assert strongest.split() == ["A", "B", "egger", "9", "2", "[1.9,", "2.1]", "<1e-300", "0"]
    assert other.split()[-2:] == ["0.04", "0"]
