"""What an option is: one field of a frozen dataclass, from which the parser, files, JSON, Python and pages are made."""

import dataclasses
from typing import Any, NamedTuple

from ..errors import InputError, nearest
from .kinds import Flag, Items, JsonObject, Kind, Pairs, explained
from .needs import Need, unmet

PRESETS = ("default", "paper", "quick")
DEFAULT = PRESETS[0]


class ByPreset(NamedTuple):
    """Defaults of an option that depend on `--preset`."""

    default: Any
    paper: Any
    quick: Any


class Option(NamedTuple):
    """What is declared of an option beside its name, type and default.

    Attributes
    ----------
    kind : Kind
        Its values.
    help : str
        What it does, without the default.
    group : str
        Title under which `--help` shows it.
    default_text : str
        What `--help` says of the default where the value alone does not.
    required, positional : bool
        On the command line.
    excludes : str
        Options of one class with the same text here exclude each other.
    presets : ByPreset or None
        Defaults by preset, if they differ.
    needs : tuple of Need
        Without each of which it has no effect, so that it is refused unless it says what the default says.
    only_warns : bool
        Whether it is not refused there, but said to have no effect.
    shared : bool
        Whether another class declares it, too, for a purpose of its own: of the same command, or of another that the
        same file of options serves.
    replaces : (str, tuple of str) or None
        Why other options have no effect with it, and their names.
    """

    kind: Kind
    help: str
    group: str = ""
    default_text: str = ""
    required: bool = False
    positional: bool = False
    excludes: str = ""
    presets: ByPreset | None = None
    needs: tuple[Need, ...] = ()
    only_warns: bool = False
    shared: bool = False
    replaces: tuple[str, tuple[str, ...]] | None = None


def option(kind, default=None, **declared):
    """A dataclass field, with one default or `ByPreset`; see `Option` for the rest."""
    presets = default if isinstance(default, ByPreset) else None
    return dataclasses.field(default=None, metadata={"option": Option(kind, presets=presets, **declared),
                                                     "default": presets.default if presets else default})


class Declared(NamedTuple):
    """An option of a class of options: its name, its default and what else is declared of it."""

    name: str
    default: Any
    option: Option

    def default_with(self, preset):
        """The default with a preset; with one that there is not, that of no preset."""
        presets = self.option.presets
        default = getattr(presets, preset if preset in PRESETS else DEFAULT) if presets else self.default
        return dict(default) if isinstance(default, dict) else default

    @property
    def default_text(self):
        """The default as `--help` shows it, and those of other presets; empty if there is none to show."""
        text = self._shown(self.default)
        if not self.option.presets:
            return text
        others = {}
        for preset in PRESETS[1:]:
            if self.default_with(preset) != self.default:
                others.setdefault(self._shown(self.default_with(preset)), []).append(preset)
        return "; ".join([text or "none", *(f"with --preset {' or '.join(names)}: {other}"
                                              for other, names in others.items())])

    def _shown(self, default):
        if self.option.default_text or default in (None, False, (), {}):
            return self.option.default_text
        return self.option.kind.shown(default)

    def checked(self, value):
        """A value in its one form.

        Raises
        ------
        InputError
            It is not a value of this option.
        """
        try:
            return self.option.kind.of_value(value)
        except ValueError as error:
            raise InputError(f"{self.name}: {explained(value, error)}") from None

    def to_json(self, value):
        """A value as JSON: lists for tuples."""
        if isinstance(value, tuple):
            return [self.to_json(item) for item in value]
        return {name: self.to_json(item) for name, item in value.items()} if isinstance(value, dict) else value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a stage. An object checks itself when it is made, and cannot be changed.

    Attributes
    ----------
    given : frozenset of str
        Names of the options that were given; the others have the preset's defaults.

    Raises
    ------
    InputError
        There is no such option, or it does not take this value, or options do not go together.
    """

    def __new__(cls, **given):
        known = cls.names()
        for name in given:
            if name not in known:
                raise InputError(f"{cls.__name__}: unknown option {name!r}{nearest(name, known)}")
        return super().__new__(cls)

    def __post_init__(self):
        given = {name: getattr(self, name) for name in self.names() if getattr(self, name) is not None}
        object.__setattr__(self, "given", frozenset(given))
        preset = given.get("preset", DEFAULT)
        for declared in sorted(self.declared(), key=lambda each: each.name != "preset"):  # a wrong preset is said first
            value = declared.checked(given[declared.name]) if declared.name in given else declared.default_with(preset)
            object.__setattr__(self, declared.name, value)
        for text in self._without_effect({name: getattr(self, name) for name in self.names()}).values():
            raise InputError(text)
        self._check_together()

    def _check_together(self):
        """Raise InputError where options do not go together."""

    @property
    def chosen(self):
        """Names of the options that were given another value than the default (frozenset of str)."""
        preset = getattr(self, "preset", DEFAULT)
        return frozenset(each.name for each in self.declared() if each.name in self.given
                         and getattr(self, each.name) != each.default_with(preset))

    @classmethod
    def _without_effect(cls, values):
        """What those chosen of this class's options lack to have an effect, in words by name; all values are known.

        Of those that are refused. Needs that another class of the command may meet are `without_effect`'s.
        """
        preset, lacking = values.get("preset") or DEFAULT, {}
        for each in cls.declared():
            if values[each.name] != each.default_with(preset) and not each.option.only_warns:
                own = tuple(need for need in each.option.needs if need.names <= values.keys())
                text = unmet(each.name, own, values)
                if text:
                    lacking[each.name] = text
        return lacking

    @classmethod
    def declared(cls):
        """What is declared of each option (list of `Declared`)."""
        return [Declared(field.name, field.metadata["default"], field.metadata["option"])
                for field in dataclasses.fields(cls)]

    @classmethod
    def default_of(cls, name):
        """The default of an option."""
        return next(each.default for each in cls.declared() if each.name == name)

    @classmethod
    def choices_of(cls, name):
        """The values that an option, or each of its items, can have (tuple of str)."""
        kind = next(each.option.kind for each in cls.declared() if each.name == name)
        return kind.choices

    @classmethod
    def names(cls):
        """Names of the options."""
        return [field.name for field in dataclasses.fields(cls)]

    @classmethod
    def of(cls, options=None, **changes):
        """An object of this class.

        Parameters
        ----------
        options : Options or dict, optional
            An object of this class, or its keywords.
        **changes
            Options that replace those.
        """
        if isinstance(options, cls):
            return options.replace(**changes) if changes else options
        if options is not None and not hasattr(options, "keys"):
            raise InputError(f"options are an object of {cls.__name__} or a dict, not {options!r}")
        return cls(**{**(options or {}), **changes})

    @classmethod
    def among(cls, values, **defaults):
        """An object of those of `values` (a dict or a namespace) that are options of this class and not None.

        Others are left to other classes, and so are those shared with another class that have no effect in this one.
        `defaults` stand in for the class's own.
        """
        values = values if hasattr(values, "keys") else vars(values)
        chosen = {name: values[name] for name in cls.names() if values.get(name) is not None}
        chosen = {**{name: value for name, value in defaults.items() if name in cls.names()}, **chosen}
        preset = chosen.get("preset", DEFAULT)
        known = {**{each.name: each.default_with(preset) for each in cls.declared()}, **chosen}
        shared = {each.name for each in cls.declared() if each.option.shared}
        for name in shared & cls._without_effect(known).keys():
            del chosen[name]
        return cls(**chosen)

    def replace(self, **changes):
        """The same with other values of some options."""
        return type(self)(**{**self.as_given(), **changes})

    def as_given(self):
        """The options that were given, as a dict."""
        return {name: getattr(self, name) for name in self.given}

    def to_json(self, without=()):
        """All options with their values as JSON, defaults spelt out."""
        return {each.name: each.to_json(getattr(self, each.name)) for each in self.declared()
                if each.name not in without}


def without_effect(classes, values, defaults=None, of_file=()):
    """Refuse options of a command that can have no effect with the others.

    Parameters
    ----------
    classes : sequence of Options classes
        Those of the command.
    values : dict
        Of the options by name, as the parser or Python gives them; None: not given.
    defaults : dict, optional
        In place of the classes' own.
    of_file : collection of str
        Names of those that a file gives. It may serve several commands, so that none is refused for which the file may
        have another use, nor one that lacks what it needs because of the options that are not of the file.

    Returns
    -------
    notes : dict of str to str
        What to say of those that are not refused, by name.
    dropped : set of str
        Those among them that must be left out, since their class would refuse them.

    Raises
    ------
    InputError
        One of them is to be refused, or has a value that it does not take.
    """
    by_name = {}
    for each in (each for cls in classes for each in cls.declared()):
        by_name.setdefault(each.name, []).append(each)
    preset = values.get("preset") or DEFAULT
    usual = {name: each[0].default_with(preset) for name, each in by_name.items()} | (defaults or {})
    given = {name: each[0].checked(values[name]) for name, each in by_name.items() if values.get(name) is not None}
    chosen = {name: by_name[name] for name, value in given.items() if value != usual[name]}
    for name in chosen:
        _refuse_replaced(name, chosen)
    notes, dropped, by_default = {}, set(), {name: each[0].default_with(DEFAULT) for name, each in by_name.items()}
    for name, declared in chosen.items():
        text, option = _lacking(name, declared, {**usual, **given}), declared[0].option
        if not text:
            continue
        notes[name] = f"--{name} has no effect: it {text.removeprefix(f'--{name} ')}"
        if option.only_warns or option.shared and (
                name in of_file or not _lacking(name, declared, {**by_default, **given})):
            continue
        if name not in of_file:
            raise InputError(text)
        if not _needed(declared) & given.keys() - set(of_file):
            raise InputError(f"{text}; the file of --config gives it")
        notes[name] += "; it comes from the file of --config, and is left out"
        dropped.add(name)
    return notes, dropped


def _needed(of_name):
    """Names of the options on which it depends whether one has an effect."""
    return {name for each in of_name for need in each.option.needs for name in need.names}


def _refuse_replaced(name, chosen):
    """Raise InputError where options are chosen, by name, that one of them is in place of."""
    why, names = chosen[name][0].option.replaces or ("", ())
    replaced = [chosen[other][0] for other in sorted(set(names) & chosen.keys())
                if not chosen[other][0].option.only_warns]
    listed = " and ".join(each.option.kind.metavar if each.option.positional else f"--{each.name}" for each in replaced)
    if replaced:
        raise InputError(f"--{name} {why}: leave out {listed}")


def _lacking(name, of_name, values):
    """What an option lacks to have an effect in any class that declares it, in words; empty if it has one."""
    texts = [unmet(name, each.option.needs, values) for each in of_name]
    return ", or ".join([texts[0], *(text.removeprefix(f"--{name} goes ") for text in texts[1:])]) if all(texts) else ""


def documented(cls):
    """A class of options whose docstring lists them, as numpydoc has it."""
    lines = [cls.__doc__.rstrip(), "", "    Parameters", "    ----------"]
    for each in cls.declared():
        help_text = each.option.help.replace("*", r"\*")  # else it begins an emphasis
        lines += [f"    {each.name} : {_type_text(each)}", f"        {help_text[0].upper()}{help_text[1:]}."]
    cls.__doc__ = "\n".join([*lines, Options.__doc__.split("\n", 1)[1]])
    return cls


def _type_text(declared):
    kind = declared.option.kind
    if kind.choices:
        text = "{" + ", ".join(f'"{choice}"' for choice in kind.choices) + "}"
    elif isinstance(kind, Flag):
        text = "bool"
    elif isinstance(kind, Items):
        text = "sequence"
    elif isinstance(kind, Pairs | JsonObject):
        text = "dict"
    else:
        text = getattr(kind, "number", str).__name__
    return f"{text}, default {declared.default_text}" if declared.default_text else f"{text}, optional"
