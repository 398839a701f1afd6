"""The calibration file: versioned JSON, read with suspicion."""

import hashlib
import json
import math
import os

import numpy as np

from ..errors import InputError, one_line
from .fit import RECALIBRATIONS, Calibration, Counts
from .moves import Quantiles, Scaling

FORMAT = "kipoi_deepmr calibration"
FORMAT_VERSION = 1


class _Wrong(Exception):
    """What is wrong with the contents of a file."""


def write(path, calibration, details=None):
    """Write a calibration.

    Parameters
    ----------
    path : str
    calibration : Calibration
        With the settings of its models.
    details : dict, optional
        Further contents (JSON values), which `read` passes over.
    """
    marks = {mark: {**_move_written(move), **calibration.counts[mark]._asdict()}
             for mark, move in calibration.moves.items()}
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, "recalibration": calibration.recalibration,
               "settings": calibration.settings, "marks": marks, **(details or {})}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, allow_nan=False)
        file.write("\n")


def copy(path, target):
    """Copy a calibration file, with the name of the original in it."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    with open(target, "w", encoding="utf-8") as file:
        json.dump({"copied_from": os.path.abspath(path), **content}, file, indent=1, allow_nan=False)
        file.write("\n")


def _move_written(move):
    if isinstance(move, Scaling):
        return {"factor": move.factor}
    return {"score": move.score.tolist(), "deviation": move.deviation.tolist()}


def read(path):
    """Read a calibration.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        No such file, not a calibration, one of another format version, or one that is broken.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such calibration file")
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a calibration file, which is JSON ({one_line(error)})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a calibration file of DeepMR; `calibrate` writes them")
    version = content.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise InputError(f"{path}: calibration format version {json.dumps(version)[:40]}; this kipoi_deepmr reads "
                         f"{FORMAT_VERSION}")
    try:
        return _calibration(content)
    except _Wrong as wrong:
        raise InputError(f"{path}: a broken calibration file: {wrong}; calibrate again") from None


def identity(path):
    """What tells a calibration file from another: its recalibration and the SHA-256 of its contents."""
    calibration = read(path)
    with open(path, "rb") as file:
        return {"recalibration": calibration.recalibration, "sha256": hashlib.sha256(file.read()).hexdigest()}


def _calibration(content):
    recalibration = content.get("recalibration")
    if recalibration not in RECALIBRATIONS:
        raise _Wrong(f"recalibration is none of {', '.join(RECALIBRATIONS)}")
    settings, marks = content.get("settings"), content.get("marks")
    if not isinstance(settings, dict) or not {"models", "members", "ddof"} <= settings.keys():
        raise _Wrong("settings do not tell models, members and ddof")
    if settings["ddof"] not in (0, 1) or isinstance(settings["ddof"], bool):
        raise _Wrong("settings: ddof is not 0 or 1")
    if not isinstance(marks, dict) or not marks:
        raise _Wrong("it has no marks")
    if not all(isinstance(entry, dict) for entry in marks.values()):
        raise _Wrong("a mark is not described by names and values")
    moves = {mark: _move(entry, recalibration, f"mark {mark[:40]!r}") for mark, entry in marks.items()}
    counts = {mark: Counts(*(_count(entry, name, mark) for name in Counts._fields)) for mark, entry in marks.items()}
    return Calibration(recalibration, settings["ddof"], moves, counts, settings)


def _move(entry, recalibration, where):
    if recalibration != "quantile":
        factor = _numbers([entry.get("factor")], f"{where}: factor")[0]
        if factor <= 0:
            raise _Wrong(f"{where}: factor is not above 0")
        return Scaling(float(factor))
    score, deviation = (_numbers(entry.get(name), f"{where}: {name}") for name in ("score", "deviation"))
    if len(score) != len(deviation) or len(score) < 2:
        raise _Wrong(f"{where}: score and deviation are not as many numbers, two or more")
    if not (np.diff(score) > 0).all() or not (np.diff(deviation) >= 0).all():
        raise _Wrong(f"{where}: score or deviation do not grow")
    return Quantiles(score, deviation)


def _numbers(values, where):
    """Finite numbers as a float64 array; no strings, no booleans."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise _Wrong(f"{where} is not made of numbers")
    if not all(abs(value) < 1e100 and math.isfinite(value) for value in values):
        raise _Wrong(f"{where} is not made of finite numbers")
    return np.array(values, dtype=np.float64)


def _count(entry, name, mark):
    value = entry.get(name)
    if type(value) is not int or value < 0:
        raise _Wrong(f"mark {mark[:40]!r}: {name} is not a count")
    return value
