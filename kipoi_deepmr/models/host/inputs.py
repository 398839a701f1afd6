"""One input of a model: whether and how it may hold DNA, by its schema and an item's value."""

import re

import numpy as np

from .encoding import OneHot, Text
from .errors import ModelError
from .forms import forms_of_shape, forms_of_value, loader_form

HINT = "; --seq_input says which input is DNA, --seq_layout its axes, such as L,4 or 4,1,L or string"
_REVERSED_NAME = re.compile(r"(?<![a-z])(rc|rev|reversed?|rev_?comp|reverse[ _-]?complement)(?![a-z])", re.I)
_REVERSED_DOC = re.compile(r"reverse[ _-]?complement|revcomp", re.I)


class ItemNeeded(ModelError):
    """What the schema does not tell; the values of an item of the model's dataloader may, or the user's options."""


class Input:
    """One of the model's inputs: what its schema says, its value if known, and what was decided.

    Parameters
    ----------
    path : tuple
        Its keys in the model's input.
    name : str
    schema : kipoi's ArraySchema, or None
    value : optional
        Of one dataloader item.
    """

    def __init__(self, path, name, schema, value):
        self.path, self.schema = path, schema
        self.name = name if path else name or str(getattr(schema, "name", None) or "")
        self.declared = getattr(schema, "shape", None)
        self.value = None if value is None else np.asarray(value)
        self.shape = self.declared if value is None else self.value.shape
        self.title = "input" + (f' "{self.name}"' if self.name else "")
        self.is_reversed = False
        self.forms, self.code = [], None

    def find_forms(self, asked, defaults, is_only):
        """Set `forms` to all that this input may be as DNA."""
        if self.value is not None:
            self.forms = forms_of_value(self.value, asked)
        elif asked == ():
            self.forms = [self.declared if self.declared in ((), (1,)) else ()] if is_only else []
        elif asked:
            self.forms = [asked] if is_only or asked.fits(self.declared or ()) else []
        else:
            self.forms = forms_of_shape(self.declared, self.special_type(), is_only)
        of_dataloader = loader_form(defaults)
        is_silent = is_only and self.value is None and asked is None
        if len(self.forms) > 1 and of_dataloader in self.forms or is_silent and of_dataloader:
            self.forms = [of_dataloader]

    def decide(self, letters, defaults):
        """Set `code` from the one form that is left."""
        if len(self.forms) != 1:
            what = "is ambiguous" if self.forms else "holds no DNA" + ("" if self.value is None else " in the item")
            raise undecided([self], f"{self.title} {self.shape} {what}")
        form = self.forms[0]
        self.code = Text(form) if isinstance(form, tuple) else OneHot(form, letters, self._dtype(defaults))

    def _dtype(self, defaults):
        """Of the dataloader's argument, else of the values; numpy's default of float64 is nobody's wish."""
        dtype = defaults.get("dtype")
        if dtype is not None:
            try:
                return np.dtype(dtype.split(".")[-1] if isinstance(dtype, str) else dtype)
            except TypeError:
                raise ModelError(f"the dataloader's dtype {dtype!r} is not one of numpy's") from None
        return np.float32 if self.value is None or self.value.dtype == np.float64 else self.value.dtype

    def length(self, defaults):
        """Number of bases, None if it may vary."""
        form, resized = self.forms[0], defaults.get("auto_resize_len")
        resized = int(resized) if resized else None
        if isinstance(form, tuple):
            return resized
        if self.declared is not None and form.fits(self.declared):
            declared = self.declared[form.position_axis]
            if declared is None or self.value is None:
                return declared or resized
        if self.value is not None:
            return self.value.shape[form.position_axis]
        long = [size for size in self.declared or () if size not in (None, 1, 4)]
        return long[0] if len(long) == 1 else resized

    def check_length(self):
        """Raise `ModelError` if the item is shorter than the schema says: kipoiseq cuts off at the ends of contigs."""
        form = self.forms[0]
        if isinstance(form, tuple) or self.value is None or not form.fits(self.declared or ()):
            return
        declared, there = self.declared[form.position_axis], self.shape[form.position_axis]
        if declared is not None and there < declared:
            raise ModelError(f"{self.title} has {there} bases in the item, but the schema says {declared}: the locus "
                             "runs over the end of its contig, or the schema is wrong and --seq_layout says so")

    def special_type(self):
        """DNASeq, DNAStringSeq or empty, as the schema says."""
        special = getattr(self.schema, "special_type", None)
        return str(getattr(special, "value", special or ""))

    def is_called_reversed(self):
        """Whether its name or doc says that it takes the reverse complement."""
        doc = str(getattr(self.schema, "doc", None) or "")
        return bool(_REVERSED_NAME.search(self.name) or _REVERSED_DOC.search(doc))

    def describe(self):
        """What was decided, for people."""
        form = self.forms[0]
        if self.value is None and not isinstance(form, tuple) and not form.fits(self.declared or ()):
            self.shape = form.shape(self.length({}))
        text = f"{self.title} {self.code.describe(self.shape)}"
        if self.declared is not None and not _agree(self.declared, self.shape):
            text += f" (its schema says {self.declared})"
        return text


def undecided(inputs, message):
    """The error that says that the evidence is not enough."""
    kind = ItemNeeded if inputs[0].value is None else ModelError
    return kind(message + HINT)


def _agree(declared, shape):
    return len(declared) == len(shape) and all(a is None or a == b for a, b in zip(declared, shape))
