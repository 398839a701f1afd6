"""Calibrated effects: computed from the members' effects and references when a block of them is read."""

import numpy as np

from .. import effects_store
from ..errors import InputError
from .file import read
from .models import check, check_marks
from .moves import moved

BLOCK_BYTES = 16_000_000  # of members' predictions in float64 held at a time
NEEDED = "a calibration needs every member's effects: predict with --keep members"


def calibrated(effects, calibration):
    """A Dataset of effects whose members are moved by a calibration.

    The mutants' predictions of each member, reference + member_effect, and its reference are moved; effects are their
    differences, `effect` the mean over members and `effect_se` the standard deviation, with the calibration's ddof.

    Parameters
    ----------
    effects : xarray.Dataset
        With `member_effect`, in memory or opened from disk.
    calibration : Calibration

    Returns
    -------
    xarray.Dataset
        The same variables; `effect`, `effect_se`, `member_effect` and `reference` are computed when a slice of them is
        read, in pieces of `BLOCK_BYTES`.

    Raises
    ------
    InputError
        The effects lack `member_effect`, were made with another ddof, or have a mark that is not calibrated.
    """
    if "member_effect" not in effects:
        raise InputError(NEEDED)
    ddof = effects_store.ddof_of(effects, calibration.ddof)
    marks = [str(mark) for mark in effects["mark"].values]
    check_marks(calibration, marks, ddof)
    reader = _Reader(effects, [calibration.moves[mark] for mark in marks], ddof)
    return effects_store.with_computed(effects, {
        "effect": reader.effect, "effect_se": reader.effect_se, "member_effect": reader.member_effect,
        "reference": reader.reference})


def calibrated_by(effects, path):
    """Effects from a store, moved by a calibration file.

    Parameters
    ----------
    effects : xarray.Dataset
        With the attribute `settings`.
    path : str

    Returns
    -------
    xarray.Dataset
        As `calibrated`.

    Raises
    ------
    InputError
        As `read`, `check` and `calibrated`.
    """
    calibration = read(path)
    check(calibration, effects.attrs.get("settings", {}), path)
    return calibrated(effects, calibration)


class _Reader:
    """Reads pieces of the calibrated variables; an index is a tuple of slices and integer arrays, one a dimension."""

    def __init__(self, effects, moves, ddof):
        self._effects, self._moves, self._ddof = effects, moves, ddof
        self._last = None, None  # what `effect` and `effect_se` were read of, and their values

    def __getstate__(self):
        return {**self.__dict__, "_last": (None, None)}  # a cluster's workers read blocks of their own

    def effect(self, locus, variant, mark):
        return self._summary(locus, variant, mark)[0]

    def effect_se(self, locus, variant, mark):
        return self._summary(locus, variant, mark)[1]

    def member_effect(self, locus, member, variant, mark):
        pieces = [each.astype(np.float32)[:, member] for each in self._member_effects(locus, variant, mark)]
        return np.concatenate(pieces)

    def reference(self, locus, member, mark):
        reference = self._effects["reference"].isel(locus=locus, mark=mark).values
        moves = [self._moves[i] for i in _numbers(mark, len(self._moves))]
        return np.moveaxis(moved(np.moveaxis(reference, 1, 0), moves, self._ddof), 0, 1).astype(np.float32)[:, member]

    def _summary(self, locus, variant, mark):
        """`effect` and `effect_se`, which are nearly always read one after the other."""
        asked = tuple(repr(each) if isinstance(each, slice) else each.tobytes() for each in (locus, variant, mark))
        last, values = self._last
        if last != asked:
            pieces = [(each.mean(1), each.std(1, ddof=self._ddof))
                      for each in self._member_effects(locus, variant, mark)]
            values = [np.concatenate(each).astype(np.float32) for each in zip(*pieces, strict=True)]
            self._last = asked, values
        return values

    def _member_effects(self, locus, variant, mark):
        """Calibrated effects (locus, member, variant, mark) float64 of one piece of loci after the other."""
        chosen = self._effects[["member_effect", "reference"]].isel(locus=locus, variant=variant, mark=mark)
        moves = [self._moves[i] for i in _numbers(mark, len(self._moves))]
        sizes = chosen.sizes
        step = max(1, BLOCK_BYTES // (8 * max(1, sizes["member"] * sizes["variant"] * sizes["mark"])))
        for first in range(0, max(1, sizes["locus"]), step):
            piece = chosen.isel(locus=slice(first, first + step))
            reference = np.moveaxis(piece["reference"].values, 1, 0).astype(np.float64)
            effect = np.moveaxis(piece["member_effect"].values, 1, 0)
            mutant = moved(reference[:, :, None] + effect, moves, self._ddof)
            yield np.moveaxis(mutant - moved(reference, moves, self._ddof)[:, :, None], 0, 1)


def _numbers(index, n):
    """The numbers that an index selects of n."""
    return np.arange(n)[index]
