"""What else an option needs to have an effect: declared with it, checked for one class of options and for a command."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

WITH, WITHOUT = "with ", "without "


class Condition(NamedTuple):
    """What must hold of another option.

    Attributes
    ----------
    name : str
        The other option.
    text : str
        As a message says it behind "goes".
    holds : callable
        Of that option's value.
    """

    name: str
    text: str
    holds: Callable[[Any], bool]


class Need(NamedTuple):
    """Conditions of which one must hold; `|` joins two of these."""

    conditions: tuple[Condition, ...]

    def __or__(self, other: "Need") -> "Need":
        return Need(self.conditions + other.conditions)

    @property
    def names(self) -> set[str]:
        """The other options."""
        return {condition.name for condition in self.conditions}

    def unmet(self, values: Mapping[str, Any]) -> str:
        """What is needed, in words, where no condition holds of some options' values; else empty.

        Conditions on options that are not among these values are passed over.
        """
        known = [condition for condition in self.conditions if condition.name in values]
        if any(condition.holds(values[condition.name]) for condition in known):
            return ""
        texts = [condition.text for condition in known]
        if all(text.startswith(WITH) for text in texts):
            texts[1:] = [text.removeprefix(WITH) for text in texts[1:]]
            if len(known) == 1 and isinstance(values[known[0].name], str):
                texts = [f"{texts[0]}, not {values[known[0].name]}"]
        return " or ".join(texts)


def given(*names: str) -> Need:
    """One of some options is there."""
    return Need(tuple(Condition(name, f"{WITH}--{name}", bool) for name in names))


def absent(name: str) -> Need:
    """An option is not there."""
    return Need((Condition(name, f"{WITHOUT}--{name}", lambda value: not value),))


def one_of(name: str, *values: str) -> Need:
    """An option has one of some values."""
    listed = f"{', '.join(values[:-1])} or {values[-1]}" if len(values) > 1 else values[0]
    return Need((Condition(name, f"{WITH}--{name} {listed}", lambda value: value in values),))


def mutants_of(*kinds: str) -> Need:
    """--mutants has one of some kinds, by their names."""
    def holds(value):
        return any(part.strip().partition(":")[0] in kinds for part in value.split(","))

    (condition,) = one_of("mutants", *kinds).conditions
    return Need((condition._replace(holds=holds),))


def a_scheduler() -> Need:
    """A Dask cluster that is not made of processes of this machine."""
    def holds(value):
        return bool(value) and not value.startswith("local:")

    return Need((Condition("dask", f"{WITH}--dask ADDRESS", holds),)) | given("dask_scheduler_file")


def unmet(name: str, needs: tuple[Need, ...], values: Mapping[str, Any]) -> str:
    """What an option lacks to have an effect, in words; empty if it has one.

    Parameters
    ----------
    name : str
        The option.
    needs : tuple of Need
        Of which each must be met.
    values : dict
        Of all options, by name.
    """
    lacking = next(filter(None, (need.unmet(values) for need in needs)), "")
    return lacking and f"--{name} goes {lacking}"
