"""`example`: a copy of the example ensemble, and what to type next."""

import os
import shlex
import shutil
from importlib.resources import as_file, files

from ..errors import InputError
from . import streams

LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.partial")


def copy_example(arguments):
    """Copy the example ensemble, its loci and its truth into a new folder.

    Returns
    -------
    str
        What to type next.

    Raises
    ------
    InputError
        There is something at that place, or no folder can be made there.
    """
    streams.refuse_stream(arguments, "a folder")
    folder = arguments.output
    try:
        os.mkdir(folder)
    except FileExistsError:
        raise InputError(f"{folder}: there is something already; name a new folder") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from None
    try:
        with as_file(files("kipoi_deepmr") / "example") as source:
            shutil.copytree(source, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return (f"{folder}: five models that predict GATA and TAL1, 202 loci, and the true effects\n\n"
            f"  cd {shlex.quote(folder)}\n"
            "  kipoi deepmr run 1 2 3 4 5 --source dir --intervals_file test_loci.bed "
            "--fasta_file test_loci.fa -o OUT\n"
            "  python compare.py OUT        # the estimates beside the truth\n\n"
            "then open OUT/report.html")
