"""Which input of a model is DNA and how it is laid out: from schema, dataloader and the values themselves."""

import numpy as np

from . import nested
from .encoding import OneHot, reverse_complement
from .errors import ModelError
from .forms import parse_layout
from .inputs import HINT, Input, ItemNeeded, undecided  # noqa: F401  ItemNeeded is for those who call find_layout


class Layout:
    """Where and how DNA goes into a model's input; made by `find_layout`.

    Attributes
    ----------
    length : int or None
        Bases that the model takes; None if any number.
    alphabet : str
        Order of the letters along their axis.
    needs_item : bool
        Whether the model takes more than DNA, so that every locus needs its own dataloader item.
    description : str
        What was decided, in one sentence.
    """

    def __init__(self, structure, dna, length, description):
        self._structure, self._dna = structure, dna
        self._paths = [path for path, _ in nested.leaves(structure)]
        self._first = next(path for path, (_, is_reversed) in dna.items() if not is_reversed)
        self.length, self.description = length, description
        self.alphabet = dna[self._first][0].alphabet
        self.needs_item = len(dna) < len(self._paths) or any(code.n_signals for code, _ in dna.values())

    def one_hot(self):
        """Name and form of the only input, if that is one-hot DNA and nothing else; else None."""
        (code, _), *others = self._dna.values()
        if self.needs_item or others or not isinstance(code, OneHot):
            return None
        return "/".join(map(str, self._first)), code.form

    def encode(self, sequences, item=None):
        """What the model's `predict_on_batch` takes for sequences.

        Parameters
        ----------
        sequences : (n, L) uint8
            Upper-case ASCII; letters other than A, C, G, T become rows of zeros.
        item : optional
            The locus's own `inputs` of the dataloader: its side inputs and signal channels go with every sequence.

        Returns
        -------
        array, or list or dict of arrays, of n each

        Raises
        ------
        ModelError
            The model needs an item and there is none, or it has another form.
        """
        if self.needs_item and item is None:
            raise ModelError(f"the model takes more than DNA ({self.description}): its loci must come from its own "
                             "dataloader, by --dataloader_args")
        held = self._values(item) if self.needs_item else {}
        strands = {False: sequences}
        if any(is_reversed for _, is_reversed in self._dna.values()):
            strands[True] = reverse_complement(sequences)
        encoded = []
        for path in self._paths:
            if path in self._dna:
                code, is_reversed = self._dna[path]
                encoded.append(code.encode(strands[is_reversed], held.get(path)))
            else:
                encoded.append(np.repeat(np.asarray(held[path])[None], len(sequences), axis=0))
        return nested.rebuilt(self._structure, iter(encoded))

    def decode(self, inputs):
        """Bases that one dataloader item's `inputs` hold: (L,) uint8, N where a row is not one-hot.

        Raises
        ------
        ModelError
            They have another form.
        """
        return self._dna[self._first][0].decode(self._values(inputs)[self._first])

    def _values(self, inputs):
        values = dict(nested.leaves(inputs))
        if list(values) != self._paths:
            raise ModelError(f"the dataloader gives inputs {_listed(values)}, but {_listed(self._paths)} are expected")
        return values


def find_layout(schema, defaults, inputs=None, seq_input=None, seq_layout=None, alphabet=None):
    """Decide which of a model's inputs is DNA and how it is laid out.

    What the options say goes first. Then the values decide, as far as they can: DNA is one-hot along the letters, and
    a second input that is the reverse complement of the first one follows it. The dataloader's `alphabet_axis` and
    `dummy_axis` come next, and last the schema's shapes, names and doc texts.

    Parameters
    ----------
    schema : kipoi's ArraySchema, or (nested) list or dict of them
        `model.schema.inputs`.
    defaults : dict
        Default arguments of the model's dataloader.
    inputs : optional
        `inputs` of one dataloader item, without a batch axis; take one that lies within its contig.
    seq_input : str or list of str, optional
        Names or numbers of the DNA inputs; `NAME=rc` for one that takes the reverse complement.
    seq_layout : str, optional
        Axes in order, such as "4,1,L", or "L,6" where DNA is in the first four of six channels; or "string".
    alphabet : str, optional
        Order of the letters along their axis; by default the dataloader's, else ACGT.

    Returns
    -------
    Layout

    Raises
    ------
    ItemNeeded
        The schema alone leaves it open.
    ModelError
        No input can be DNA, several can, or the options do not fit; the message names the option to give.
    """
    structure = schema if inputs is None else inputs
    given = [Input(path, name, described, None if inputs is None else value)
             for path, value, name, described in nested.matched(structure, schema)]
    form = None if seq_layout is None else parse_layout(seq_layout)
    letters = _letter_order(alphabet, defaults)
    asked = _asked(seq_input, given)
    for one in given:
        one.find_forms(form, defaults, len(given) == 1)
    chosen = [one for one in given if one in asked] if asked else _dna_among(given)
    for one in chosen:
        one.decide(letters, defaults)
    _set_directions(chosen, asked)
    dna = {one.path: (one.code, one.is_reversed) for one in chosen}
    first = next(one for one in chosen if not one.is_reversed)
    if form is None:
        first.check_length()
    return Layout(structure, dna, first.length(defaults), _description(given, chosen))


def _letter_order(alphabet, defaults):
    said = alphabet or defaults.get("alphabet") or "ACGT"
    letters = "".join(said).upper().replace("U", "T")
    if sorted(letters) != list("ACGT"):
        raise ModelError("{} {}: the letters A, C, G, T in the order of their channels are needed, such as AGCT".format(
            "--alphabet" if alphabet else "the dataloader's alphabet", "".join(said)))
    return letters


def _asked(seq_input, given):
    """Inputs named by the user, each with whether it is said to be the reverse complement."""
    texts = [seq_input] if isinstance(seq_input, str) else seq_input or []
    asked = {}
    for text in texts:
        name, _, kind = text.partition("=")
        found = [one for number, one in enumerate(given) if name in (one.name, str(number))]
        if not found or kind not in ("", "rc"):
            raise ModelError('--seq_input {}: give NAME or NAME=rc; the model\'s inputs are {}'.format(
                text, ", ".join(one.name or "0" for one in given)))
        asked[found[0]] = kind == "rc"
    if asked and all(asked.values()):
        raise ModelError("--seq_input: one input must take the sequence itself, not its reverse complement")
    return asked


def _dna_among(given):
    """The inputs that are DNA."""
    found = [one for one in given if one.forms]
    if given[0].value is None:
        found = [one for one in found if one.special_type()] or found
    if not found:
        raise undecided(given, "none of the model's inputs is DNA: " + _shapes(given))
    return found


def _set_directions(chosen, asked):
    """Decide which of several DNA inputs take the reverse complement: as asked, else by the values, else by names."""
    is_asked = any(asked.values())
    named = [asked[one] if is_asked else one.is_called_reversed() for one in chosen]
    first = chosen[named.index(False) if False in named else 0]
    for one, is_named in zip(chosen, named):
        if one is first:
            continue
        if one.value is not None:
            one.is_reversed = _is_reverse_complement(one, first, asked.get(one))
        elif one in asked or is_named and not all(named) and one.declared == first.declared:
            one.is_reversed = is_named
        else:
            raise undecided(chosen, "several inputs may be DNA: " + _shapes(chosen))


def _is_reverse_complement(one, first, asked):
    """Whether an item's second DNA input is the reverse complement of the first, or the same once more."""
    ours, theirs = (each.code.decode(each.value) for each in (first, one))
    if np.array_equal(theirs, reverse_complement(ours)):
        return True
    if np.array_equal(theirs, ours) and not asked:
        return False
    raise ModelError("{} is DNA too, but {}the reverse complement of {} in the item{}".format(
        one.title, "not " if asked else "neither the same nor ", first.title, HINT))


def _shapes(inputs):
    return ", ".join(f"{one.title} {one.shape}" for one in inputs)


def _listed(paths):
    return ", ".join("/".join(map(str, path)) for path in paths) or "one array"


def _description(given, chosen):
    first = next(one for one in chosen if not one.is_reversed)
    parts = [first.describe()]
    parts += ["{} the {}".format(one.describe(), "reverse complement of it" if one.is_reversed else "same")
              for one in chosen if one is not first]
    held = [one.title for one in given if one not in chosen]
    if held:
        parts.append("{} held fixed".format(", ".join(held[:10]) + (", ..." if len(held) > 10 else "")))
    return "; ".join(parts)
