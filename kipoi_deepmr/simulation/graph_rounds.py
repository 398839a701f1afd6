"""One round of the simulation of graphs: draw, train, write test loci, predict the effects of their mutants."""

import os
from typing import NamedTuple

import numpy as np

from ..options import LABELS
from ..output.tables import write_tsv
from .graph_activity import draw_labels, length_of, motifs_of
from .graph_truth import global_truth, local_truth
from .graphs import GRAPHS, check_graph, draw_graph, mark_names
from .round_folder import member_seeds, predict_round, round_folder
from .sequences import hold_out, sample_sequences, with_mutated_copies
from .training import N_MEMBERS, ONE_CYCLE, PAPER_SIZE, Card, Schedule, Size, train_ensemble
from .truth import write_test_loci

N_TEST = 200
FEW_MARKS = 5
STREAMS = 4  # of random numbers: training data, test loci, spacers, networks


class Training(NamedTuple):
    """What networks are trained on and how: sequences without mutated copies, size of the network, schedule."""

    n: int
    size: Size
    schedule: Schedule


OF_FEW_MARKS = Training(6_000, PAPER_SIZE, ONE_CYCLE)
# With ten marks, 10,000 sequences and a rate of 0.005, many rectifiers end up off for every sequence, so that fewer are
# left than motifs: one mark's is missed (validation R^2 0.26). With these settings all marks reach 0.77 to 0.96.
OF_MANY_MARKS = Training(14_000, Size(filters=24, units=60), ONE_CYCLE._replace(learning_rate=2e-3))


class GraphDesign(NamedTuple):
    """What decides all rounds of an experiment with causal graphs, but for how labels follow, and their number.

    Attributes
    ----------
    graph : str
        A name in `GRAPHS`.
    n_marks, n_hidden : int
        Marks, and hidden causes, which act on marks and are not predicted.
    seed : int
    n_members, n_training, n_test : int
        Members of an ensemble, training sequences without mutated copies (by default by the number of marks), test
        loci.
    schedule : Schedule, optional
        By default by the number of marks.
    """

    graph: str
    n_marks: int = 4
    n_hidden: int = 0
    seed: int = 1
    n_members: int = N_MEMBERS
    n_training: int | None = None
    n_test: int = N_TEST
    schedule: Schedule | None = None

    def as_json(self):
        """The design as JSON values."""
        return {**self._asdict(), "schedule": self.training.schedule._asdict()}

    @classmethod
    def from_json(cls, values):
        """The design that `as_json` gave."""
        return cls(**{**values, "schedule": Schedule(**values["schedule"])})

    def all_loci(self, source, folder):
        """Folder of a round's test loci: its own, since none are left out."""
        return source

    @property
    def training(self):
        """What its networks are trained on and how: `Training`."""
        usual = OF_FEW_MARKS if self.n_marks <= FEW_MARKS else OF_MANY_MARKS
        return Training(self.n_training or usual.n, usual.size, self.schedule or usual.schedule)

    @property
    def scenarios(self):
        """How labels follow from the graph."""
        return LABELS

    @property
    def marks(self):
        """Names of what the networks predict."""
        return tuple(mark_names(self.n_marks))

    def check(self, scenarios):
        """Raise `InputError` if the graph cannot be made."""
        check_graph(self.graph, self.n_marks, self.n_hidden)

    def make(self, folder, scenario, number):
        """`make_graph_round` of this design."""
        return make_graph_round(folder, self, scenario, number)

    def summary(self, record):
        """What to say of a round in a line, from its round.json."""
        return f"{record['edges']} edges among {self.n_marks} marks, {self.n_test} loci"

    def validation_data(self, record):
        """Bases and labels of the validation sequences of a round, drawn once more."""
        return _training_data(self, *_drawn(self, record["round"]), record["scenario"],
                              _streams(self, record["scenario"], record["round"])[0])[1]


def make_graph_round(folder, design, labels, number):
    """Make the folder of one round; it appears when all in it is complete.

    It holds the members as Kipoi models (``1/`` and so on), ``test_loci.fa``, ``test_loci.bed``, ``truth.tsv`` (local
    effects), ``graph.tsv`` (the graph and global effects), ``round.json`` and, by `kipoi_deepmr.pipeline.predict`,
    ``effects.zarr``. Rounds of the same number have the same graph, linear or saturating.

    Parameters
    ----------
    folder : str
    design : GraphDesign
    labels : str
        A name in `LABELS`.
    number : int
        From 1.

    Returns
    -------
    dict
        The contents of round.json.
    """
    graph, pwms = _drawn(design, number)
    streams = _streams(design, labels, number)
    record = {"scenario": labels, "round": number, "edges": int((graph.direct[:design.n_marks] != 0).sum()),
              "direct": graph.direct.tolist(), "names": graph.names}
    with round_folder(folder, record) as partial:
        sequences = sample_sequences(design.n_test, pwms, streams[1], length_of(len(pwms)))
        local = local_truth(sequences, pwms, graph, labels)
        write_test_loci(partial, sequences.bases, local, streams[2])
        write_tsv(os.path.join(partial, "graph.tsv"), [global_truth(local, graph)])
        card = Card(f"simulation/{design.graph}/{labels}/{number}", f"graph {design.graph}, {labels}, round {number}",
                    "{marks}\n    in a simulation in which they act on each other",
                    "activity, without unit")
        record["members"] = train_ensemble(
            partial, member_seeds(design, streams[3]), *_training_data(design, graph, pwms, labels, streams[0]),
            design.training.schedule, card, marks=design.marks, size=design.training.size, balanced=True)
        predict_round(partial, design.n_members)
    return record


def _drawn(design, number):
    """The graph of a round and the motifs of its marks and hidden causes."""
    graph = draw_graph(design.graph, design.n_marks, design.n_hidden, np.random.default_rng([design.seed, number]))
    return graph, motifs_of(graph.names)


def _streams(design, labels, number):
    """Generators of a round's random numbers: for training data, test loci, spacers, networks."""
    kind = [list(GRAPHS).index(design.graph), design.n_marks, design.n_hidden, LABELS.index(labels)]
    return [np.random.default_rng([design.seed, number, *kind, stream]) for stream in range(STREAMS)]


def _training_data(design, graph, pwms, labels, rng):
    """``(train, train_labels), (valid, valid_labels)`` as bases and noisy activities."""
    n = design.training.n
    bases, copied = with_mutated_copies(sample_sequences(n, pwms, rng, length_of(len(pwms))), pwms, rng)
    y = draw_labels(bases, pwms, graph, labels, rng)
    valid = hold_out(n, copied, rng)
    return (bases[~valid], y[~valid]), (bases[valid], y[valid])
