"""Which models a calibration belongs to."""

from ..effects_store import differences
from ..errors import InputError, nearest

# What a store's settings tell beyond the models and what is read from them
NOT_OF_MODELS = ("loci", "loci_sha256", "keep", "engine")
ASKED_APART = ("marks", "ddof")


def settings_of_models(ensemble, ddof=1):
    """What the predictions of an ensemble depend on, as the settings of a store of its effects have it.

    Parameters
    ----------
    ensemble : Ensemble
    ddof : int

    Returns
    -------
    dict
        JSON values.
    """
    return {**ensemble.settings, "models": list(ensemble.checksums), "members": list(ensemble.names),
            "marks": list(ensemble.marks), "ddof": ddof}


def check(calibration, settings, path):
    """Raise `InputError` unless a calibration is that of the models that effects come from.

    Parameters
    ----------
    calibration : Calibration
    settings : dict
        Of the store of effects.
    path : str
        Of the calibration, for the message.
    """
    ours, theirs = ({key: value for key, value in each.items() if key not in (*NOT_OF_MODELS, *ASKED_APART)}
                    for each in (calibration.settings, settings))
    differing = differences(ours, theirs)
    if differing:
        raise InputError(f"{path}: not a calibration of the models of the effects ({'; '.join(differing[:3])}); "
                         "calibrate these")
    check_marks(calibration, settings.get("marks", ()), settings.get("ddof", calibration.ddof))


def check_marks(calibration, marks, ddof):
    """Raise `InputError` unless effects on these marks, made with this ddof, can be calibrated."""
    for mark in marks:
        if mark not in calibration.moves:
            raise InputError(f"mark {mark} is not in the calibration{nearest(mark, calibration.moves)}")
    if ddof != calibration.ddof:
        raise InputError(f"the effects are made with ddof = {ddof}, the calibration with {calibration.ddof}: "
                         f"calibrate with --ddof {ddof}")
