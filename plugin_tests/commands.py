"""Commands that tests run in their own process."""

from kipoi_deepmr.cli import main


def refused(capsys, argv):
    """Run a command that must be refused; its one message."""
    assert main([str(word) for word in argv]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "Traceback" not in said.err, said.err
    return said.err
