"""Calibration of the members' spread, by validation sequences with observed values."""

from .effects import NEEDED, calibrated, calibrated_by
from .file import copy, identity, read, write
from .fit import MIN_VALUES, RECALIBRATIONS, Calibration, check_options, fit
from .models import check, settings_of_models
from .moves import Quantiles, Scaling, moved
from .observed import Observed, observed_at_loci, observed_of_sequences, read_observed
from .reliability import LEVELS, Reliability, evaluate, miscalibration_area, observed_proportions, sharpness

__all__ = ["LEVELS", "MIN_VALUES", "NEEDED", "RECALIBRATIONS", "Calibration", "Observed", "Quantiles", "Reliability",
           "Scaling", "calibrated", "calibrated_by", "check", "check_options", "copy", "evaluate", "fit", "identity",
           "miscalibration_area", "moved", "observed_at_loci", "observed_of_sequences", "observed_proportions",
           "read", "read_observed", "settings_of_models", "sharpness", "write"]
