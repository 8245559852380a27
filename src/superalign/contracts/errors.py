"""The error tree. A message says what is wrong, where, and what to type instead; the CLI prints it without a
traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SuperalignError(Exception):
    """Anything that stops a command and that a person can mend.

    `what` is the fault, `where` the file, key or part it was found in, `fix` the thing to type or change.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(" ".join(part for part in (what, where and f"({where})", fix) if part))


class InputError(SuperalignError):
    """The command, the plan or a file given by the user can't be used. Exit code 2."""

    exit_code = 2


class PlanError(InputError):
    """A plan has an unknown key, a wrong type or an impossible value."""


class UnknownName(InputError):
    """No part, model or file goes by this name; offers the nearest one that exists."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        fix = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known) or 'none'}."
        super().__init__(f"There is no {kind} named {name!r}.", fix=fix)
        self.nearest = near[0] if near else None


class ModelError(InputError):
    """A model is missing, damaged, or of a kind that can't be used here."""


class AccessError(InputError):
    """A subject was asked for more of itself than its access includes."""


class BusyError(SuperalignError):
    """A model has as much to answer as its queue holds; there may be room after `seconds`."""

    def __init__(self, waiting: int, seconds: int) -> None:
        super().__init__(f"{waiting} answers wait already.", fix=f"Ask again after {seconds} seconds.")
        self.seconds = seconds


class FetchError(SuperalignError):
    """Something had to be fetched and could not be, or arrived with the wrong hash."""


class RunError(SuperalignError):
    """A run folder can't be read or written: newer version, full disk, damaged step."""


class LedgerError(SuperalignError):
    """The ledger does not verify; names the first bad entry."""

    def __init__(
        self, what: str, *, where: str | None = None, entry: int | None = None, fix: str | None = None
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.entry = entry


class SandboxError(SuperalignError):
    """A program that nobody vouches for can't be confined here, or not as it has to be; so it was not run."""


class SealError(SuperalignError):
    """A sealed trial was opened twice, or what was committed is not what is there."""
