"""UnknownLayer: the one way in which a model cannot be read as a graph; NotANumber, the kind that no split helps."""


class UnknownLayer(Exception):
    """The model holds something that the exact engine does not know; the message is a sentence that names the layer.

    Not an error of the user: whoever asked for the engine goes back to predicting every mutant as a whole.
    """


class NotANumber(UnknownLayer):
    """A layer's weights hold NaN: whatever computes it, nothing that follows is a number."""

    def __init__(self, what: str):
        super().__init__(f"{what} has weights that are no numbers (NaN)")
