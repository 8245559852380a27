"""Formulas in conjunctive normal form: DIMACS files, read strictly, and models, verified by evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from superalign.contracts.errors import InputError

Clause = tuple[int, ...]  # literals: a variable's number from 1, negative where it is negated

MOST_BYTES = 2**26  # of a file; Python needs some twenty times as much
VARIABLES_OF_ANY_FILE = 2**20  # a short file may declare so many, a longer one as many as it has bytes
INTEGER = re.compile(r"-?[0-9]{1,10}", re.ASCII)
HEADER = re.compile(r"p\s+cnf\s+([0-9]{1,10})\s+([0-9]{1,10})", re.ASCII)


@dataclass(frozen=True)
class Formula:
    """Clauses that all have to hold, over variables 1 to `variables`."""

    variables: int
    clauses: tuple[Clause, ...]

    def falsified(self, model: Iterable[int]) -> Clause | None:
        """A clause that has no true literal under `model`, the literals that are true; None where all have one.

        InputError for a model that makes a variable both true and false, or names one that there is not.
        """
        true = set(model)
        for literal in true:
            if -literal in true or not 1 <= abs(literal) <= self.variables:
                raise InputError(
                    f"This is no model: literal {literal} is contradicted or names no variable.",
                    fix=f"Give each of the variables 1 to {self.variables} one sign at most.",
                )
        return next((clause for clause in self.clauses if true.isdisjoint(clause)), None)

    def dimacs(self) -> str:
        """The text of a DIMACS file."""
        return f"p cnf {self.variables} {len(self.clauses)}\n" + "".join(map(row, self.clauses))


def row(literals: Sequence[int]) -> str:
    """A clause as a line of DIMACS or DRAT."""
    return " ".join(map(str, (*literals, 0))) + "\n"


def read_text(path: Path, most: int = MOST_BYTES, encoding: str = "ascii") -> str:
    """The text of a file. InputError where it is missing, longer than `most` bytes, or not of this encoding."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"The file can't be read: {error.strerror}.", where=str(path), fix="Check the path.") from None
    if len(content) > most:
        raise InputError(f"The file has more than {most:,} bytes.", where=str(path), fix="Split the problem.")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"Line {line} holds a byte that is no {encoding.upper()} text.", where=str(path), fix="Write it as text."
        ) from None


def parse_dimacs(text: str, where: str = "DIMACS") -> Formula:
    """The formula of a DIMACS CNF text. Its header has to be right. InputError names the line and what is wrong."""

    def wrong(number: int, what: str, fix: str) -> InputError:
        return InputError(f"Line {number}: {what}", where=where, fix=fix)

    declared: tuple[int, int] | None = None
    clauses: list[Clause] = []
    literals: list[int] = []
    number = 0
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0] == "c":
            continue
        if words[0] == "p":
            if declared is not None:
                raise wrong(number, "a second header.", "Keep one formula in a file.")
            header = HEADER.fullmatch(line.strip())
            if not header:
                raise wrong(number, "the header can't be read.", "Write: p cnf VARIABLES CLAUSES")
            declared = int(header[1]), int(header[2])
            if declared[0] > max(len(text), VARIABLES_OF_ANY_FILE):
                raise wrong(number, f"{declared[0]:,} variables are more than the file can use.", "Number them from 1.")
            continue
        if declared is None:
            raise wrong(number, "a clause before the header.", "Begin with: p cnf VARIABLES CLAUSES")
        for word in words:
            if not INTEGER.fullmatch(word):
                raise wrong(number, f"{word[:20]!r} is no literal.", "Literals are whole numbers; 0 ends a clause.")
            literal = int(word)
            if abs(literal) > declared[0]:
                raise wrong(number, f"there is no variable {abs(literal)}.", f"The header declares {declared[0]}.")
            if literal:
                literals.append(literal)
            else:
                clauses.append(tuple(literals))
                literals = []
    if declared is None:
        raise wrong(number, "the file ends without a header.", "Begin with: p cnf VARIABLES CLAUSES")
    if literals:
        raise wrong(number, "the last clause does not end.", "End each clause with 0.")
    if len(clauses) != declared[1]:
        raise wrong(number, f"{len(clauses)} clauses, where the header declares {declared[1]}.", "Mend the header.")
    return Formula(declared[0], tuple(clauses))


def parse_model(text: str, where: str = "model") -> list[int]:
    """The literals of lines `v 1 -2 ... 0`, as solvers print them. InputError for anything else but s and c lines."""
    literals: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0] in ("c", "s"):
            continue
        if words[0] != "v" or not all(map(INTEGER.fullmatch, words[1:])):
            raise InputError(f"Line {number} is not of a model.", where=where, fix="Write lines: v 1 -2 3 0")
        literals += [int(word) for word in words[1:]]
    return [literal for literal in literals if literal]


def write_model(model: Iterable[int]) -> str:
    """The text that `parse_model` reads."""
    ordered = sorted(model, key=abs)
    lines = ["v " + " ".join(map(str, ordered[i : i + 20])) + "\n" for i in range(0, len(ordered), 20)]
    return "s SATISFIABLE\n" + "".join(lines) + "v 0\n"
