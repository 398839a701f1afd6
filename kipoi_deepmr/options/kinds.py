"""What values an option takes: how a word of the command line, and a value from Python or JSON, become one."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping

from ..errors import nearest

QUOTE = '"'


def split_words(text):
    """The items of a word with commas between them; one that holds a comma is in double quotes, as in a CSV file.

    Raises
    ------
    ValueError
        Quotes do not close.
    """
    if QUOTE not in text:
        return [word.strip() for word in text.split(",")]
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error:
        raise ValueError('it has quotes that do not close; write a name with a comma as "A,B"') from None
    return [word.strip() for word in rows[0]] if rows else [""]


def joined_words(words):
    """The word that `split_words` splits into some items."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(words)
    return text.getvalue()


def explained(value, error):
    """What is wrong with a value, which the text of a kind's ValueError may call `it`."""
    text = str(error)
    return f"{value!r}{text[2:]}" if text.startswith("it ") else text


class Kind:
    """Any text; the other kinds say what else is taken.

    Attributes
    ----------
    metavar : str or None
        What `--help` shows in place of the value.
    choices : tuple of str or None
        All values of it, or of each item.
    several : bool
        Whether the command line takes more than one word.
    plain : bool
        Whether a word of the command line is taken as it is.
    """

    choices, several, plain = None, False, False
    join = staticmethod(joined_words)  # how the items of a list are written in one word

    def __init__(self, metavar=None):
        self.metavar = metavar

    def of_text(self, text):
        """The value that a word of the command line means; ValueError says what is wrong with it."""
        raise NotImplementedError

    def of_value(self, value):
        """A value from Python or JSON in its one form; ValueError says what is wrong with it."""
        raise NotImplementedError

    def shown(self, value):
        """The value as the command line takes it, for `--help`."""
        return str(value)


class Text(Kind):
    """Any text, such as the name of a file."""

    plain = True

    def of_text(self, text):
        return text

    def of_value(self, value):
        if hasattr(value, "__fspath__"):
            value = value.__fspath__()
        if not isinstance(value, str) or not value:
            raise ValueError("it must be text")
        return value


class Choice(Kind):
    """One of some words."""

    def __init__(self, *choices):
        super().__init__()
        self.choices = choices

    def of_text(self, text):
        return self.of_value(text)

    def of_value(self, value):
        if value not in self.choices:
            raise ValueError(f"it is not one of its values{nearest(value, self.choices)}")
        return value


class Flag(Kind):
    """True or false; on the command line the option alone says true."""

    def of_text(self, text):
        raise ValueError("it is a flag and takes no value")

    def of_value(self, value):
        if not isinstance(value, bool):
            raise ValueError("it must be True or False")
        return value


class Number(Kind):
    """A number in a range.

    Parameters
    ----------
    least : float
    above : bool
        Whether the number must be above `least`, not only at least that.
    most : float
        Infinite: any finite number.
    below : bool
        Whether the number must be below `most`.
    metavar : str, optional
    """

    number = float

    def __init__(self, least=-math.inf, most=math.inf, above=False, below=False, metavar=None):
        super().__init__(metavar)
        self.least, self.most, self.above, self.below = least, most, above, below

    def of_text(self, text):
        try:
            return self.of_value(self.number(text))
        except ValueError:
            raise ValueError(self._range()) from None

    def of_value(self, value):
        try:
            number = self.number(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(self._range()) from None
        if isinstance(value, (bool, str)) or number != value:
            raise ValueError(self._range())
        value = number
        if not (self.least <= value <= self.most and math.isfinite(value)) or self.above and value == self.least \
                or self.below and value == self.most:
            raise ValueError(self._range())
        return value

    def _range(self):
        what = "a whole number" if self.number is int else "a number"
        low = f" {'above' if self.above else 'of at least'} {self.least:,g}" if math.isfinite(self.least) else ""
        high = f" and {'below' if self.below else 'at most'} {self.most:,g}" if math.isfinite(self.most) else ""
        return f"it must be {what}{low}{high}"


class Integer(Number):
    """A whole number in a range."""

    number = int


class IntegerChoice(Choice):
    """One of some whole numbers."""

    number = int

    def of_text(self, text):
        return self.of_value(int(text) if text.isdecimal() else text)

    def of_value(self, value):
        return int(super().of_value(value))


class Items(Kind):
    """Some values of one kind: a list, or words with commas between them; one value counts as a list of one.

    Parameters
    ----------
    item : Kind
    metavar : str
    several : bool
        Whether the items are words of their own on the command line.
    once : bool
        Whether no item may come twice.
    """

    def __init__(self, item, metavar, several=False, once=False):
        super().__init__(metavar)
        self.item, self.several, self.once = item, several, once
        self.plain = several and item.plain

    def of_text(self, text):
        if self.several:
            return self.item.of_text(text)
        words = split_words(text)
        if not all(words):
            raise ValueError("it has an empty name")
        return self.of_value([self._item(word, self.item.of_text) for word in words])

    def of_value(self, value):
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            value = [value]
        items = tuple(self._item(item, self.item.of_value) for item in value)
        if not items:
            raise ValueError("it is an empty list")
        twice = [item for item in items if items.count(item) > 1]
        if self.once and twice:
            raise ValueError(f"{twice[0]!r} is named twice")
        return items

    def _item(self, item, made_of):
        try:
            return made_of(item)
        except ValueError as error:
            raise ValueError(explained(item, error)) from None

    def shown(self, value):
        return joined_words(map(self.item.shown, value))


class JsonObject(Kind):
    """A JSON object, or the name of a file that holds one: a dict."""

    def of_text(self, text):
        try:
            if not text.lstrip().startswith("{"):
                with open(text, encoding="utf-8") as file:
                    text = file.read()
            return self.of_value(json.loads(text))
        except (OSError, ValueError, RecursionError):
            raise ValueError('it is neither a JSON object such as {"filters": 64} nor a file that holds one') from None

    def of_value(self, value):
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise ValueError("it must be a dict of names and values")
        return dict(value)

    def shown(self, value):
        return json.dumps(value)


class OneOf(Text):
    """A name among those of a list that is too long for the usage line."""

    plain = False

    def __init__(self, choices):
        super().__init__()
        self.names = tuple(choices)

    def of_text(self, text):
        return self.of_value(text)

    def of_value(self, value):
        if value not in self.names:
            raise ValueError(f"it is not known{nearest(value, self.names)}")
        return value


class Pairs(Kind):
    """Words of the form NAME=VALUE: a dict.

    Parameters
    ----------
    metavar : str
    value : callable
        Makes the value of the text behind `=`.
    checked : callable
        Makes the normal form of a value.
    """

    several = True

    def __init__(self, metavar, value, checked):
        super().__init__(metavar)
        self._value, self._checked = value, checked

    def of_text(self, text):
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ValueError(f"it is not of the form {self.metavar}")
        try:
            return name, self._checked(self._value(value))
        except ValueError:
            raise ValueError(f"it is not of the form {self.metavar}") from None

    def of_value(self, value):
        pairs = list(value.items()) if hasattr(value, "items") else value
        try:
            pairs = [(name, of_one) for name, of_one in pairs]
        except (TypeError, ValueError):
            raise ValueError(f"it must be a dict: {self.metavar}") from None
        names = [name for name, _ in pairs]
        for name in names:
            if not isinstance(name, str):
                raise ValueError(f"{name!r} is not a name")
            if names.count(name) > 1:
                raise ValueError(f"{name} is named twice")
        return {name: self._checked(of_one) for name, of_one in pairs}


def settings(metavar="NAME=VALUE"):
    """Pairs whose values are JSON, or else text."""
    return Pairs(metavar, _json_or_text, lambda value: value)


def columns(metavar="NAME=COL,COL"):
    """Pairs whose values are lists of names."""
    names = Items(Label(), metavar)
    return Pairs(metavar, lambda text: names.of_text(text), names.of_value)


def windows(metavar="NAME=[OUTPUT@]START:END"):
    """Pairs whose values are positions of an output: text, or (START, END)."""
    def checked(value):
        if not isinstance(value, str):
            value = "{}:{}".format(*Window(metavar).of_value(value))
        output, at, span = value.rpartition("@")
        value = output + at + span.replace(",", ":")  # as a configuration's list becomes a word
        if not re.fullmatch(r"(.+@)?[+-]?\d+:[+-]?\d+", value):
            raise ValueError(f"{value!r} is not of the form {metavar.partition('=')[2]}")
        return value

    return Pairs(metavar, str, checked)


def amounts(metavar="NAME=N"):
    """Pairs whose values are numbers above 0."""
    number = Number(0, above=True)
    return Pairs(metavar, float, number.of_value)


class Label(Text):
    """A name or a number."""

    plain = False

    def of_value(self, value):
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return super().of_value(value)


class Window(Kind):
    """START:END, from 0 and without END."""

    join = staticmethod(":".join)

    def of_text(self, text):
        start, colon, end = text.partition(":")
        if not (colon and start.isdecimal() and end.isdecimal()):
            raise ValueError("it is not of the form START:END")
        return self.of_value((int(start), int(end)))

    def of_value(self, value):
        try:
            start, end = map(int, value)
        except (TypeError, ValueError):
            raise ValueError("it is not of the form START:END") from None
        if not 0 <= start < end:
            raise ValueError("it is not of the form START:END, START below END")
        return start, end


def _json_or_text(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
