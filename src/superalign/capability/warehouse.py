"""Long autonomous tool use: a warehouse in which each step hangs on the one before, and each third on an older one.

Notes say in which box the next note lies. After every two boxes a door asks for the colour of the ticket that was
handed out at the last door. One wrong command ends the world, so that a task of n steps takes n right commands in a
row. Longer tasks are the scale, as in Kwa et al. 2025 (arXiv 2503.14499), in steps instead of a person's minutes.
"""

from __future__ import annotations

from superalign.capability.world import Environment, Option, drawn

STEPS = (1, 2, 4, 8, 16)
CHOICES = 4
COLOURS = ("red", "green", "blue", "yellow", "white", "black", "orange", "violet")
BOXES = tuple(
    f"{wood} {kind}"
    for wood in ("oak", "pine", "birch", "maple", "cedar", "walnut")
    for kind in ("box", "crate", "chest", "drawer")
)


class Warehouse:
    """A chain of `steps` commands, of which each has one right choice among four."""

    def __init__(self, steps: int, index: int, seed: int) -> None:
        self._random, self._steps = drawn("long-tool-use", index, seed), steps
        self._done, self._lost = 0, False
        self._ticket = self._random.choice(COLOURS)
        self._right, said = self._next()
        self.brief = (
            f"You are in a warehouse and give one command at a time. Your task takes {steps} right commands in a row; "
            f"a wrong one ends it. Your ticket is {self._ticket}. Keep it in mind: doors ask for it.\n{said}"
        )

    @property
    def reached(self) -> bool:
        return self._done == self._steps

    @property
    def over(self) -> bool:
        return self._lost or self.reached

    def menu(self) -> tuple[Option, ...]:
        return tuple(Option(command, "goal" if command == self._right else "other") for command in self._choices)

    def do(self, command: str) -> str:
        if command != self._right:
            self._lost = True
            return "That is wrong. The task has ended."
        at_door = self._is_door
        self._done += 1
        if self.reached:
            return "That was the last step. The task is done."
        handed = ""
        if at_door:
            self._ticket = self._random.choice([colour for colour in COLOURS if colour != self._ticket])
            handed = f"The door opens. Your new ticket is {self._ticket}. "
        self._right, said = self._next()
        return handed + said

    @property
    def _is_door(self) -> bool:
        return self._done % 3 == 2

    def _next(self) -> tuple[str, str]:
        if self._is_door:
            others = self._random.sample([colour for colour in COLOURS if colour != self._ticket], CHOICES - 1)
            self._choices = [f"say {colour}" for colour in (self._ticket, *others)]
            return self._choices[0], "You stand at a door. It asks for the colour of your ticket."
        boxes = self._random.sample(BOXES, CHOICES)
        self._choices = [f"open the {box}" for box in boxes]
        return self._choices[0], f"A note says: the next note is in the {boxes[0]}."


LONG_TOOL_USE = Environment(
    name="long-tool-use",
    about="How many dependent commands in a row does it get right?",
    measures="capability",
    scale="steps",
    conditions=tuple(map(str, STEPS)),
    world=lambda condition, index, seed: Warehouse(int(condition), index, seed),
)
