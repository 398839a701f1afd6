"""Which names `table` chooses."""

import pytest

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.pipeline.parts import _chosen

NAMES = ["s*r", "sr", "sxr", "br[1]", "br1", "br[1] rep", "B.", "Bx"]


@pytest.mark.parametrize(("pattern", "names"), [
    ("s*r", ["s*r"]), ("s*", ["s*r", "sr", "sxr"]), ("s?r", ["s*r", "sxr"]), ("br[1]", ["br[1]"]),
    ("br[1]*", ["br[1]", "br[1] rep"]), ("B.", ["B."]), ("B?", ["B.", "Bx"]), ("*", NAMES),
    ("br[1-2]", ["br1"])])
def test_names_come_first_and_brackets_are_those_of_names_if_there_are_such(pattern, names):
    assert [NAMES[i] for i in _chosen("exposure", NAMES, [pattern])] == names


def test_a_pattern_that_fits_nothing_is_refused():
    with pytest.raises(InputError, match=r"--exposure br\[23\]: no exposure of that name"):
        _chosen("exposure", NAMES, ["sr", "br[23]"])
