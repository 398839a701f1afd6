"""What goes to standard error: nothing that other packages warn programmers of, unless it is asked for."""

import sys
import warnings

import pytest

from kipoi_deepmr.cli import commands, main


@pytest.mark.parametrize("words, options, shown", [([], [], False), (["-v"], [], True), ([], ["default"], True)])
def test_warnings_of_other_packages(monkeypatch, recwarn, words, options, shown):
    monkeypatch.setattr(sys, "warnoptions", options)
    monkeypatch.setattr(commands, "report", lambda *_: warnings.warn("will change", FutureWarning, stacklevel=1))
    before = list(warnings.filters)
    assert main(["report", "x", *words]) == 0
    assert [str(each.message) for each in recwarn] == ["will change"] * shown
    assert warnings.filters == before
