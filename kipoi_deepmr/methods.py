"""The methods of Mendelian randomization: their names, and what each needs. Read without importing numpy."""

from dataclasses import dataclass

COVARIATES = "covariates"  # the effects on other marks, held fixed: --adjust
OUTCOME_MEMBERS = "outcome_members"  # each member's effects on the outcome
ALL_MEMBERS = "all_members"  # each member's effects on both marks at once, so that no member can be left out
NEEDS = (COVARIATES, OUTCOME_MEMBERS, ALL_MEMBERS)


@dataclass(frozen=True)
class Method:
    """A method that `--method` accepts.

    Attributes
    ----------
    name : str
    module : str
        Module of `kipoi_deepmr.mr.estimators` that holds the function of that name.
    fewest : int
        The fewest instruments with which it has an answer, with its default options and without covariates.
    needs : frozenset of str
        What it needs beside effects and standard errors, among `NEEDS`.
    takes_psi : bool
        Whether it accepts the correlation of an instrument's two errors.
    closed_form : str
        The regression whose sums give it for all loci and pairs at once, a name in `estimators/closed_form.py`; or "".
    """

    name: str
    module: str
    fewest: int
    needs: frozenset[str] = frozenset()
    takes_psi: bool = False
    closed_form: str = ""

    @property
    def needs_members(self):
        """Whether it needs each member's effects."""
        return bool(self.needs & {OUTCOME_MEMBERS, ALL_MEMBERS})


METHODS = {method.name: method for method in (
    Method("wald_mean", "ratio", 2, closed_form="ratios"),
    Method("ivw", "regression", 1, takes_psi=True, closed_form="origin"),
    Method("egger", "regression", 3, closed_form="line"),
    Method("ivw_additive", "additive", 1, closed_form="additive_origin"),
    Method("egger_additive", "additive", 3, closed_form="additive_line"),
    Method("egger_robust", "regression", 5),  # with fewer the robust scale is 0 or hangs on one of them
    Method("egger_simex", "simex", 4),  # with 3, and errors in all of them, a mean over the draws does not exist
    Method("median_simple", "median", 3),
    Method("median_weighted", "median", 3),
    Method("median_penalized", "median", 3),
    Method("mode_simple", "mode", 2),
    Method("mode_weighted", "mode", 2),
    Method("raps", "raps", 1),
    Method("divw", "divw", 1),
    Method("max_likelihood", "likelihood", 1, takes_psi=True),
    Method("contamination_mixture", "contamination", 2),
    Method("lasso", "lasso", 2),
    Method("ivw_correlated", "correlated", 1, frozenset({OUTCOME_MEMBERS})),
    Method("egger_correlated", "correlated", 3, frozenset({OUTCOME_MEMBERS})),
    Method("two_stage_least_squares", "two_stage", 1, frozenset({ALL_MEMBERS})),
    Method("mvmr_ivw", "multivariable", 1, frozenset({COVARIATES})),
    Method("mvmr_egger", "multivariable", 3, frozenset({COVARIATES})),
)}
