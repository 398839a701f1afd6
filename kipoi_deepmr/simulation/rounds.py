"""One round of the paper's simulation: draw, train, write test loci, predict the effects of their mutants."""

import os
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .all_loci import write_all_loci
from .binding import CONFOUNDER, EXPOSURE, MARKS, Parameters
from .round_folder import member_seeds, predict_round, read_record, round_folder
from .scenarios import N_TRAINING, PAPER_STRENGTHS, SCENARIOS, Strengths, draw_parameters, pwms_of, training_data
from .training import N_MEMBERS, ONE_CYCLE, Card, Schedule, Size, train_ensemble
from .truth import (
    MIN_EXPOSURE_CHANGE,
    N_TEST,
    draw_test_loci,
    true_global_effect,
    visible_local_effects,
    write_test_loci,
)

RULE = f"largest change of {EXPOSURE} by a mutant within its motif >= {MIN_EXPOSURE_CHANGE} Anscombe unit"
LATER = ("confounder_mark", "dropout")  # fields of a design that an experiment may lack
STREAMS = 4  # of random numbers: training data, test loci, spacers, networks


class Design(NamedTuple):
    """What decides all rounds of an experiment, but for their scenario and number.

    Attributes
    ----------
    seed : int
    strengths : Strengths
    n_members, n_training, n_test : int
        Members of an ensemble, training sequences without mutated copies, test sequences before selection.
    schedule : Schedule
    confounder_mark : bool
        Whether the networks predict the confounder that the sequence shows, too. Then each mark counts the same in
        training: TAL1's labels vary up to thirty times as much as SOX2's, which is hardly learnt beside them (R^2 0.09
        for a network that reaches 0.74 so; 0.88 for SOX2 alone).
    dropout : float
        Rate of the dropout with which networks are trained; 0 is none.
    """

    seed: int = 1
    strengths: Strengths = PAPER_STRENGTHS
    n_members: int = N_MEMBERS
    n_training: int = N_TRAINING
    n_test: int = N_TEST
    schedule: Schedule = ONE_CYCLE
    confounder_mark: bool = False
    dropout: float = 0.0

    def as_json(self):
        """The design as JSON values; without what was added later and is not used, for experiments of before."""
        values = {**self._asdict(), "strengths": self.strengths._asdict(), "schedule": self.schedule._asdict()}
        return {name: value for name, value in values.items() if name not in LATER or value}

    @classmethod
    def from_json(cls, values):
        """The design that `as_json` gave."""
        nested = {"strengths": Strengths(**values["strengths"]), "schedule": Schedule(**values["schedule"])}
        return cls(**{**values, **nested})

    @property
    def scenarios(self):
        """Names of the scenarios that it may have."""
        return tuple(SCENARIOS)

    @property
    def marks(self):
        """Names of what the networks predict."""
        return (*MARKS, CONFOUNDER) if self.confounder_mark else MARKS

    def check(self, scenarios):
        """Raise `InputError` if one of some scenarios cannot be made."""
        lacking = [name for name in scenarios if not SCENARIOS[name].shown]
        if self.confounder_mark and lacking:
            having = ",".join(name for name, scenario in SCENARIOS.items() if scenario.shown)
            raise InputError(f"--confounder_mark: the sequences of scenario {lacking[0]} show no confounder; "
                             f"--scenarios {having}")

    def make(self, folder, scenario, number):
        """`make_round` of this design."""
        return make_round(folder, self, scenario, number)

    def summary(self, record):
        """What to say of a round in a line, from its round.json."""
        return (f"gamma {record['parameters']['gamma']:.2f}, true effect {record['true_global_effect']['mean']:.3f}, "
                f"{record['test_loci']['kept']} loci, {record['test_loci']['removed']} removed")

    def all_loci(self, source, folder):
        """Folder of a round's test loci with those that it left out, made below `folder` if it is not there."""
        record, made = read_record(source), os.path.join(folder, "loci")
        if not os.path.exists(made):
            os.makedirs(f"{made}.partial", exist_ok=True)
            write_all_loci(source, f"{made}.partial", SCENARIOS[record["scenario"]], self.n_test,
                           random_streams(self, record["scenario"], record["round"]))
            os.rename(f"{made}.partial", made)
        return made

    def validation_data(self, record):
        """Bases and labels of the validation sequences of a round, drawn once more."""
        rng = random_streams(self, record["scenario"], record["round"])[0]
        return training_data(pwms_of(SCENARIOS[record["scenario"]]), Parameters(**record["parameters"]), rng,
                             self.n_training, self.confounder_mark)[1]


def make_round(folder, design, scenario, number):
    """Make the folder of one round; it appears when all in it is complete.

    It holds the members as Kipoi models (``1/`` and so on), ``test_loci.fa``, ``test_loci.bed``, ``truth.tsv``,
    ``round.json`` and, by `kipoi_deepmr.pipeline.predict`, ``effects.zarr``. Rounds of the same number have the same
    alpha and gamma in all scenarios.

    Parameters
    ----------
    folder : str
    design : Design
    scenario : str
        A name in `SCENARIOS`.
    number : int
        From 1.

    Returns
    -------
    dict
        The contents of round.json.
    """
    streams = random_streams(design, scenario, number)
    parameters = draw_parameters(np.random.default_rng([design.seed, number]), SCENARIOS[scenario], design.strengths)
    pwms = pwms_of(SCENARIOS[scenario])
    record = {"scenario": scenario, "round": number, "parameters": parameters._asdict()}
    with round_folder(folder, record) as partial:
        record.update(_write_loci(partial, design, pwms, parameters, *streams[1:3]))
        train, valid = training_data(pwms, parameters, streams[0], design.n_training, design.confounder_mark)
        card = Card(f"simulation/{scenario}/{number}", f"scenario {scenario}, round {number}")
        record["members"] = train_ensemble(
            partial, member_seeds(design, streams[3]), train, valid, design.schedule, card, marks=design.marks,
            size=Size(dropout=design.dropout), balanced=design.confounder_mark)
        predict_round(partial, design.n_members)
    return record


def random_streams(design, scenario, number):
    """Generators of a round's random numbers: for training data, test loci, spacers, networks."""
    return [np.random.default_rng([design.seed, number, 1 + list(SCENARIOS).index(scenario), stream])
            for stream in range(STREAMS)]


def _write_loci(folder, design, pwms, parameters, test_rng, spacer_rng):
    bases, truth, counts = draw_test_loci(pwms, parameters, test_rng, design.n_test)
    forward = truth["exposure"] == EXPOSURE
    visible = visible_local_effects(bases, truth.loc[forward, "gata_start"].to_numpy(), pwms, parameters)
    truth["visible_effect"] = np.where(forward, np.tile(visible, 2), 0.0)
    write_test_loci(folder, bases, truth, spacer_rng)
    return {"true_global_effect": true_global_effect(truth), "test_loci": {"rule": RULE, **counts, "kept": len(bases)}}
