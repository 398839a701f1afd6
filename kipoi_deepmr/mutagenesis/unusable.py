"""Unusable: why an engine is not used for a model."""


class Unusable(Exception):
    """An engine cannot be used for a model, or not be trusted; the message says why in a few words, without a stop."""
