"""The errors that lbbench raises on purpose: one sentence with place, value and way out."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return ``text`` with what a terminal would act on or hide shown as ``\x1b``.

    Names and values in messages come from files; line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text
    )


class LbbenchError(Exception):
    """Base of all errors that a user can cause; the command line prints it and exits with 2."""

    def __init__(self, *sentence: object) -> None:
        super().__init__(*(printable(one) if isinstance(one, str) else one for one in sentence))


class ScenarioError(LbbenchError):
    """A scenario that cannot be read or does not make sense."""


class InputError(LbbenchError):
    """An input file (rules, log, trace) that cannot be read, or holds nothing usable."""


class BalancerError(LbbenchError):
    """A balancer that is unknown, misses a part, or cannot be compiled."""


class RunError(LbbenchError):
    """A run that cannot be carried out with the given scenario on this machine."""


class Interrupted(LbbenchError):  # noqa: N818  (a wish of the user, no error)
    """A study that was stopped by the user; the sentence says what is kept and how to go on."""
