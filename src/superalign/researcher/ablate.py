"""Takes a found solution apart: which of its differences from the baseline is the gain due to?"""

from __future__ import annotations

from collections.abc import Iterator

from superalign.contracts.research import Expression, Language


def ablations(found: Expression, baseline: Expression, language: Language) -> dict[str, Expression]:
    """The solution with one difference from the baseline undone at a time, by what was undone.

    Where both have the same part, its parameters and inputs are set back one by one. Where the parts differ, the whole
    subtree is set back, or, at the root, replaced by an input of its own that gives the same type.
    """
    undone = dict(_set_back(found, baseline, "root"))
    if found.part != baseline.part:
        for number, child in enumerate(found.inputs):
            if language.part(child.part).gives == language.root:
                undone[f"{found.part}: only input {number + 1}, {child.part}"] = child
    return {name: expression for name, expression in undone.items() if expression not in (found, baseline)}


def _set_back(found: Expression, baseline: Expression, place: str) -> Iterator[tuple[str, Expression]]:
    if found == baseline:
        return
    if found.part != baseline.part:
        yield f"{place}: {baseline.part} instead of {found.part}", baseline
        return
    for name, value in baseline.parameters.items():
        if found.parameters.get(name) != value:
            parameters = {**found.parameters, name: value}
            yield (
                f"{found.part}: {name} {value} instead of {found.parameters.get(name)}",
                found.model_copy(update={"parameters": parameters}),
            )
    for number, (ours, theirs) in enumerate(zip(found.inputs, baseline.inputs, strict=False)):
        for name, child in _set_back(ours, theirs, f"input {number + 1} of {found.part}"):
            inputs = (*found.inputs[:number], child, *found.inputs[number + 1 :])
            yield name, found.model_copy(update={"inputs": inputs})
