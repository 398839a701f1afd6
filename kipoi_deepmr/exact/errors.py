"""UnknownLayer: the one way in which a model cannot be read as a graph."""


class UnknownLayer(Exception):
    """The model holds something that the exact engine does not know; the message is a sentence that names the layer.

    Not an error of the user: whoever asked for the engine goes back to predicting every mutant as a whole.
    """
