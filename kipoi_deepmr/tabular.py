"""Numbers in the columns of a table."""

import pandas as pd


def to_numbers(column):
    """A column as numbers, as `pandas.to_numeric` reads it; NaN for what is none.

    Exponents are cut to five digits first: pandas 2 ends the process on one of 2^31 or more.

    Parameters
    ----------
    column : pandas.Series

    Returns
    -------
    pandas.Series
    """
    if pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
        texts = column.map(lambda value: isinstance(value, str))
        cut = column[texts].astype(object).str.replace(r"(?i)(e[+-]?\d{5})\d+", r"\1", regex=True)
        column = column.astype(object).where(~texts, cut)
    return pd.to_numeric(column, errors="coerce")
