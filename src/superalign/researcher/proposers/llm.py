"""A language model as the researcher: it chooses its way down the tree of a solution, or writes a program."""

from __future__ import annotations

import ast
import re
from typing import Literal

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.registry import proposers
from superalign.contracts.research import Expression, Outcome, ProblemCard, Program, Proposal, Solution, Value
from superalign.researcher.proposers.genes import Gene, grown
from superalign.researcher.proposers.history import History
from superalign.researcher.proposers.model_answers import ModelAnswers, NoAnswer
from superalign.researcher.proposers.prompts import BEST, FAILURES, decision, program_question, told
from superalign.researcher.scale import grid
from superalign.runs.cost import metered

GRID = 7  # values of a number that are offered
PROGRAM_TOKENS = 4_000
LONGEST_PROGRAM = 20_000  # characters
TEMPERATURE = 0.8  # of programs; choices are drawn by their probabilities
BLOCK = re.compile(r"^```(?:python|py)?[ \t]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
HYPOTHESIS = re.compile(r"^HYPOTHESIS:[ \t]*(\S.*)$", re.MULTILINE)


@proposers.register("llm")
class LlmProposer:
    """Asks a language model, by its Inspect name: to choose each decision, or to write a program.

    `writes` is `choices` (grammar-constrained: at each decision the model picks one of the options that the language
    allows, so that whatever it says is a solution, and small models can play) or `program` (a Python file with
    `solve(given)`). What can't be used is proposed as Unscored, with the reason. Keys come from the environment.
    """

    name = "llm"

    def __init__(
        self,
        card: ProblemCard,
        seed: int = 0,
        *,
        model: str,
        writes: Literal["choices", "program"] = "choices",
        attempts: int = 4,
        timeout: float = 120.0,
        first_wait: float = 1.0,
    ) -> None:
        """`attempts`, `timeout` and `first_wait` limit a request, as of an EndpointSubject."""
        if writes not in ("choices", "program"):
            raise InputError(f"A language model can't write {writes!r}.", fix="Write choices or program.")
        self._history = History(card, seed)
        self._writes = writes
        self._model = ModelAnswers(model, attempts=attempts, timeout=timeout, first_wait=first_wait)

    def ask(self) -> Proposal:
        """ModelError when the endpoint knows neither the key nor the model."""
        return self.propose(None)

    def propose(self, suggested: Expression | None) -> Proposal:
        """The same, with what an optimizer suggests shown to the model."""
        rng = self._history.next_rng()
        self._model.answers = []
        why = "A language model chose it, decision by decision."
        solution: Solution | Unscored
        with metered() as meter:
            try:
                if self._writes == "choices":
                    solution = self._chosen(rng, suggested)
                else:
                    solution, why = self._program(rng, suggested)
            except NoAnswer as failure:
                solution, why = Unscored(reason=f"the model gave no solution: {failure}"), "None was given."
        return Proposal(
            solution=solution,
            hypothesis=self._history.hypothesis(why),
            proposer=self.name,
            answers=tuple(self._model.answers),
            cost=meter.cost(),
        )

    def tell(self, outcome: Outcome) -> None:
        """Asks the model nothing."""
        self._history.tell(outcome)

    def _chosen(self, rng: np.random.Generator, suggested: Expression | None) -> Expression:
        grammar, context = self._history.grammar, self._told()
        decided: list[tuple[Gene, Value]] = []

        def decide(gene: Gene) -> Value:
            values = grid(gene.domain, GRID)
            if gene.slot == 0:
                labels = [f"{value}: {grammar.parts[str(value)].says}" for value in values]
            else:
                labels = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
            question = f"{context}\n\n{decision(gene, decided, suggested)}"
            value = values[self._model.choose(question, labels, rng)] if len(values) > 1 else values[0]
            decided.append((gene, value))
            return value

        return grown(grammar, decide)

    def _program(self, rng: np.random.Generator, suggested: Expression | None) -> tuple[Program, str]:
        question = f"{self._told()}\n\n{program_question(self._history.card, suggested)}"
        text = self._model.write(question, PROGRAM_TOKENS, TEMPERATURE, seed=int(rng.integers(2**31)))
        reason = HYPOTHESIS.search(text)
        return program_in(text), reason[1][:1_000] if reason else "A language model wrote it, and gave no reason."

    def _told(self) -> str:
        failed = [one for one in self._history.outcomes if isinstance(one.result, Unscored)]
        return told(self._history.card, self._history.best(BEST), failed[-FAILURES:])


def program_in(text: str) -> Program:
    """The one code block of an answer that defines `solve`. NoAnswer where there is none, or more than one."""
    blocks = [block for block in BLOCK.findall(text) if "def solve" in block]
    if len(blocks) != 1:
        raise NoAnswer(f"{len(blocks)} code blocks of its answer define solve(given)")
    [source] = blocks
    if len(source) > LONGEST_PROGRAM:
        raise NoAnswer(f"its program has {len(source)} characters, and may have {LONGEST_PROGRAM}")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NoAnswer(f"its program is not Python: {error}"[:200]) from None
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "solve"]
    if len(defined) != 1 or len(defined[0].args.posonlyargs + defined[0].args.args) != 1:
        raise NoAnswer("its program does not define solve(given) once, with one argument")
    return Program(source=source)
