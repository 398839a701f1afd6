"""Which marks and loci names and patterns choose."""

import pytest

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.pipeline.chosen import numbers_of

NAMES = ["s*r", "sr", "sxr", "br[1]", "br1", "br[1] rep", "B.", "Bx"]


@pytest.mark.parametrize(("pattern", "names"), [
    ("s*r", ["s*r"]), ("s*", ["s*r", "sr", "sxr"]), ("s?r", ["s*r", "sxr"]), ("br[1]", ["br[1]"]),
    ("br[1]*", ["br[1]", "br[1] rep"]), ("B.", ["B."]), ("B?", ["B.", "Bx"]), ("*", NAMES),
    ("br[1-2]", ["br1"])])
def test_names_come_first_and_brackets_are_those_of_names_if_there_are_such(pattern, names):
    assert [NAMES[i] for i in numbers_of("exposure", [pattern], NAMES)] == names


def test_names_are_in_the_order_in_which_they_are_written_and_each_once():
    assert [NAMES[i] for i in numbers_of("exposure", ["Bx", "s*r", "s*", "B?"], NAMES)] == [
        "Bx", "s*r", "sr", "sxr", "B."]
    assert numbers_of("exposure", None, NAMES) == list(range(len(NAMES)))


def test_a_pattern_that_fits_nothing_is_refused():
    with pytest.raises(InputError, match=r"unknown exposure 'br\[23\]'"):
        numbers_of("exposure", ["sr", "br[23]"], NAMES)


def test_a_name_with_a_comma_is_told_to_stand_in_quotes():
    with pytest.raises(InputError, match=r"""in double quotes: '"CTCF, rep 1"'$"""):
        numbers_of("outcome", ["CTCF", "rep 1"], ["GATA", "CTCF, rep 1"])
