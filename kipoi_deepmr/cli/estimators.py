"""The options of estimation that `run`, `estimate` and `simulate` have in common."""


def estimator_options(arguments):
    """Keyword arguments of `kipoi_deepmr.pipeline.estimate`; adjust and steiger only if they are given."""
    options = {name: getattr(arguments, name)
               for name in ("method", "instruments", "instrument_z", "se_shrinkage", "uncertainty", "spread_shrinkage")}
    given = {name: getattr(arguments, name) for name in ("adjust", "steiger") if getattr(arguments, name)}
    return {**options, **given, "method_args": dict(arguments.method_args or ())}
