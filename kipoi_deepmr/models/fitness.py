"""Whether models can be members: each answers for a sequence alone, always the same, and not as another one does."""

import time
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .host import saturation
from .model import Description, Model, checked

if TYPE_CHECKING:
    from .ensemble import Ensemble

FEW, MANY = 4, 64  # sequences in one call, beside one alone
SECONDS = 5.0  # that the call of many may take; of slow models fewer are asked
SEED = 4
# What two answers to one sequence may differ by: spacings of the model's numbers, and a share of the answers' spread
# over sequences. Calls of one shape do the same arithmetic; in others sums may be taken in another order, and graphics
# cards may use less precise products.
SAME_SHAPE, OTHER_SHAPE = (4, 1e-4), (16, 5e-3)
COARSE = 100  # spacings that the effects of single mutants should have at least
EPSILONS = {"bfloat16": 2.0 ** -7, "float16": 2.0 ** -10, "float32": 2.0 ** -23, "float64": 2.0 ** -52}
SHARED_STATE = ("; if their framework keeps state that all models of a process share, as TensorFlow 1 does, give each "
                "model a process of its own with --python")
TRAINING_MODE = ("A sequence's answer must not depend on the others in its batch. The usual cause is a layer that "
                 "computes statistics of the batch, such as batch normalisation in training mode: call the network's "
                 "eval(), or predict with training=False")


class Answers(NamedTuple):
    """What a model answers to random sequences, the first of them and its mutants.

    Attributes
    ----------
    problem : str
        Why it cannot be a member; empty if it can.
    random : (replicates, n, marks)
    mutants : (replicates, m, marks)
        Of the first of the random sequences.
    """

    problem: str
    random: np.ndarray
    mutants: np.ndarray


def examine(ensemble: "Ensemble") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What speaks against the models of an ensemble.

    Returns
    -------
    problems : tuple of str
        Why they are not fit to be members.
    warnings : tuple of str
        What may make effects coarse.
    """
    found: dict[int, tuple] = {}
    calls = [lambda number=number: _of_model(ensemble.models[number], ensemble.described[number], ensemble.batch_size,
                                             ensemble.columns_used(number)) for number in range(len(ensemble.models))]
    ensemble.ask(calls, found.__setitem__)
    each = [found[number] for number in range(len(ensemble.models))]
    problems = [problem for problem, _, _ in each if problem]
    problems += _alike(ensemble.models, ensemble.described, [probe for _, _, probe in each])
    return tuple(problems), tuple(warning for _, warning, _ in each if warning)


def epsilon(described: Description, answers: np.ndarray) -> float:
    """The relative spacing of the numbers in which a model answers; float64 that holds float32 alone is float32."""
    precision = described.precision or str(np.result_type(answers, np.float32))
    if precision == "float64" and np.array_equal(answers.astype(np.float32), answers, equal_nan=True):
        precision = "float32"
    return EPSILONS.get(precision, EPSILONS["float32"])


def _of_model(model, described, batch_size, used):
    """Problem and warning of one model, empty if there are none, and its answer to its probe; of the marks used."""
    first, again = (None if each is None else each[..., used] for each in (model.probe(), model.probe(again=True)))
    if first is not None and not _is_close(first, again):
        return _change(model, described.name, again, used), "", again
    if not described.length or described.needs_item and described.item is None:
        return "", "", again
    answers = _ask(model, described, min(batch_size or MANY, MANY), used)
    return answers.problem, "" if answers.problem else _coarseness(_of_marks(described, used), answers), again


def _of_marks(described, used):
    """The description of a model that has some of its marks alone."""
    return described._replace(marks=tuple(described.marks[k] for k in used))


def _ask(model: Model, whole: Description, most: int, used: list) -> Answers:
    """Ask for one sequence alone, with a few others and with many, in several orders; `used` are the marks compared."""
    described = _of_marks(whole, used)
    sequences = saturation.BASES[np.random.default_rng(SEED).integers(0, 4, (most + 2 * FEW, described.length))]
    one, few, others = sequences[:1], sequences[:FEW], np.r_[sequences[:1], sequences[FEW:2 * FEW - 1]]

    def predict(chosen):
        return checked(model.predict(chosen, whole.item), whole, len(chosen))[..., used]

    alone, start = predict(one), time.monotonic()
    repeated = predict(one)
    seconds = time.monotonic() - start
    if not _is_close(alone, repeated):
        return Answers(_differing(described.name), alone, repeated)
    n = int(np.clip(SECONDS / max(seconds, 1e-9), min(FEW, most), most))
    n_mutants = min(n // 2, 3 * described.length)
    many = np.r_[sequences[:n - n_mutants], _some_mutants(sequences[0], n_mutants)]
    together, backwards = predict(many), predict(many[::-1])[:, ::-1]
    allowed = _allowed(described, together)
    compared = [(alone, together[:, :1], OTHER_SHAPE, f"alone or with {n - 1} others in its batch"),
                (together, backwards, OTHER_SHAPE, f"at one place or at another among {n} in a batch")]
    if most >= FEW:
        with_few, with_others = predict(few)[:, :1], predict(others)[:, :1]
        compared += [(alone, with_few, OTHER_SHAPE, f"alone or with {FEW - 1} others in its batch"),
                     (with_few, with_others, SAME_SHAPE, f"with {FEW - 1} others in its batch or different ones")]
    problems = [_dependence(described, mine, theirs, allowed[shape], how) for mine, theirs, shape, how in compared]
    if not _is_close(alone, predict(one)):
        problems.append(_differing(described.name))
    return Answers(next(filter(None, problems), ""), together[:, :n - n_mutants], together[:, n - n_mutants:])


def _some_mutants(sequence, n):
    """n of a sequence's single mutants, from its start to its end: (n, L) uint8."""
    rows = np.linspace(1, 3 * len(sequence), n).round().astype(int)
    return np.concatenate([saturation.rows(sequence, row, row + 1) for row in rows] or [sequence[None][:0]])


def _allowed(described, together):
    """What answers may differ by in calls of one shape and of several: (replicates, 1, marks) each.

    Of several shapes it is by the largest number of all marks, since the rounding of large numbers within a network
    reaches marks that are small; and by the type that holds the answers, since a network may compute in less than what
    it returns.
    """
    with np.errstate(invalid="ignore"):
        numbers = np.where(np.isfinite(together), together, 0).astype(np.float64)
    largest, spread = np.abs(numbers).max(1, keepdims=True), numbers.std(1, keepdims=True)
    fine, coarse = epsilon(described, together), max(epsilon(described, together), _held_in(numbers))
    same = SAME_SHAPE[0] * fine * largest + SAME_SHAPE[1] * spread
    other = OTHER_SHAPE[0] * coarse * largest.max(-1, keepdims=True) + OTHER_SHAPE[1] * spread
    return {SAME_SHAPE: same, OTHER_SHAPE: other}


def _held_in(numbers):
    """The relative spacing of the least precise type that holds numbers without rounding, of those of 16 bits; or 0."""
    single = numbers.astype(np.float32)
    if (single.view(np.uint32) & 0xFFFF == 0).all():
        return EPSILONS["bfloat16"]
    with np.errstate(over="ignore"):
        return EPSILONS["float16"] if np.array_equal(single.astype(np.float16), single) else 0.0


def _dependence(described, mine, theirs, allowed, how):
    """What there is to say of answers to the same sequences that differ by more than is allowed."""
    with np.errstate(invalid="ignore"):
        differs = np.abs(mine.astype(np.float64) - theirs) > allowed
    differs |= np.isfinite(mine) != np.isfinite(theirs)
    if not differs.any():
        return ""
    replicate, row, mark = np.argwhere(differs)[0]
    return (f"model {described.name} predicts {mine[replicate, row, mark]:.6g} or {theirs[replicate, row, mark]:.6g} "
            f"for mark {described.marks[mark]} of the same sequence, {how}. {TRAINING_MODE}")


def _coarseness(described, answers):
    """A warning if effects are not much larger than the spacing of the numbers in which a model answers."""
    numbers = np.concatenate([answers.random, answers.mutants], axis=1).astype(np.float64)
    if not np.isfinite(numbers).all():
        return ""
    spacing = epsilon(described, answers.random) * np.abs(numbers).max((0, 1))
    changes = answers.mutants - answers.random[:, :1].astype(np.float64)
    effects = np.sqrt((changes ** 2).sum((0, 1)) / max(1, changes.shape[0] * changes.shape[1]))
    spread = answers.random.astype(np.float64).std(1).max(0)
    size = np.where(effects > 0, effects, spread)
    is_coarse = (size > 0) & (size < COARSE * spacing)
    if not is_coarse.any():
        return ""
    mark = int(np.argmin(np.where(is_coarse, size / spacing, np.inf)))
    precision = described.precision or str(answers.random.dtype)
    return (f"model {described.name} answers in {precision}, whose numbers lie {spacing[mark]:.2g} apart where mark "
            f"{described.marks[mark]} is, and single mutants change it by {size[mark]:.2g}: its effects are "
            "coarse. Let it answer in a more precise type, or without a large constant")


def _alike(models: Sequence[Model], described: Sequence[Description], probes: Sequence) -> list[str]:
    """Pairs of models that answer exactly alike."""
    found = []
    for i, j in combinations(range(len(models)), 2):
        if probes[i] is not None and probes[j] is not None and np.array_equal(probes[i], probes[j], equal_nan=True) \
                and _varies(probes[i]):
            state = "" if models[i].own_process or models[j].own_process else SHARED_STATE
            found.append(f"models {described[i].name} and {described[j].name} give exactly the same answers: an "
                         f"ensemble needs members trained apart{state}")
    return found


def _change(model, name, again, used):
    if not _is_close(again, model.probe(again=True)[..., used]):
        return _differing(name)
    return f"loading other models changed what {name} predicts{SHARED_STATE}"


def _differing(name):
    return (f"model {name} answers the same sequence differently each time: it draws random numbers when it predicts, "
            "or remembers what it was asked before, which would pass for effects of mutations")


def _is_close(first, again):
    """Whether two answers are the same but for the rounding of a framework that adds in no fixed order."""
    return np.allclose(first, again, rtol=1e-3, atol=1e-3 * np.abs(np.nan_to_num(first)).max(), equal_nan=True)


def _varies(answer):
    return not np.array_equal(answer, np.broadcast_to(answer[:, :1], answer.shape), equal_nan=True)
