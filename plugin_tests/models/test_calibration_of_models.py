"""A calibration file belongs to the models it was made with."""

from kipoi_deepmr import calibration, pipeline
from kipoi_deepmr.calibration.models import NOT_OF_MODELS
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.mutagenesis import engines


def test_every_setting_of_effects_is_either_the_models_or_known(models, bed_file, genome_file):
    """A setting that is new in a store must be sorted: it decides predictions, or it is in NOT_OF_MODELS."""
    with Ensemble.from_kipoi(models, "dir", settings={"augment": ["rc"]}) as ensemble:
        loci = pipeline.select_loci(ensemble, intervals_file=bed_file, fasta_file=genome_file).loci
        ours = calibration.settings_of_models(ensemble, 1)
        theirs = pipeline.predict_settings(engines.choose(ensemble, "naive"), loci)
    assert set(theirs) - set(ours) <= set(NOT_OF_MODELS)
    assert set(NOT_OF_MODELS) - set(theirs) == set()
    assert ours.items() <= theirs.items() and ours["augment"] == ["rc"]
