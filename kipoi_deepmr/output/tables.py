"""Tables as TSV: full precision, missing values `NA`; written whole or not at all."""

import pandas as pd

from ..files import replacing

# How to read every digit: pandas 3 does so by itself and warns of the option, pandas 2 needs it.
EXACT = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}


def write_tsv(path, pieces):
    """Write tables, one after the other, as one TSV with one header line.

    Parameters
    ----------
    path : str
    pieces : iterable of pandas.DataFrame
        With the same columns; at least one.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        for number, piece in enumerate(pieces):
            noted = piece.assign(note=piece["note"].replace("", "NA")) if "note" in piece else piece
            noted.to_csv(out, sep="\t", index=False, header=number == 0, na_rep="NA", lineterminator="\n")
