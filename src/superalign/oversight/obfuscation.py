"""Obfuscated arguments: how judge accuracy falls as a flaw is spread over more lines.

Barnes and Christiano 2020, *Debate update: Obfuscated arguments problem*. The levels of a task such as `ordering` say
how many lines a flaw is spread over: no one of them shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from superalign.contracts.oversight_measures import LevelOfObfuscation, Obfuscation
from superalign.contracts.protocols import Overseer
from superalign.oversight.docket import Docket
from superalign.oversight.paired import Paired, Value, opinions, right
from superalign.runs.cost import metered


def obfuscation(docket: Docket, protocols: Mapping[str, Overseer]) -> Obfuscation:
    """Accuracy of each protocol at each level of the task, and how many of its flaws it found."""
    asked, names = docket.questions, docket.task.level_names
    with metered() as meter:
        judged = {name: opinions(own.learn(docket.given), asked) for name, own in protocols.items()}
    columns: dict[str, Sequence[Value]] = {}
    for protocol, said in judged.items():
        for level, _ in enumerate(names):
            here = [
                value if question.level == level else None
                for question, value in zip(asked, right(said, asked, docket.key), strict=True)
            ]
            columns[f"accuracy {protocol} {level}"] = here
            columns[f"found {protocol} {level}"] = [
                None if docket.key.truth[question.id] else value for question, value in zip(asked, here, strict=True)
            ]
    found = Paired(asked, columns)
    return Obfuscation(
        asked=docket.asked(meter.cost()),
        levels=tuple(
            LevelOfObfuscation(
                level=name,
                accuracy={protocol: found.mean(f"accuracy {protocol} {level}") for protocol in protocols},
                found={protocol: found.mean(f"found {protocol} {level}") for protocol in protocols},
            )
            for level, name in enumerate(names)
        ),
        lost={
            protocol: found.difference(f"accuracy {protocol} 0", f"accuracy {protocol} {len(names) - 1}", apart=True)
            for protocol in protocols
        },
    )
