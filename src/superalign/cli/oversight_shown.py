"""What `superalign oversight` prints for a person, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from superalign.cli.output import print_table, say

if TYPE_CHECKING:
    from superalign.contracts.oversight_measures import (
        Asked,
        Failures,
        Gaps,
        Honesty,
        Measured,
        Obfuscation,
        Optimised,
        Sandwich,
        Scaling,
    )


def show_gaps(found: Gaps) -> None:
    rows = {
        "generator: its own answer is right": found.generator,
        "discriminator: it tells whether one is right": found.discriminator,
        "critic: it shows a flaw first, where there is one": found.pointed,
        "judge alone": found.judge_alone,
        "judge after its critique": found.judge_after_critique,
        "discriminator less generator": found.discriminator_less_generator,
        "critique less discriminator": found.critique_less_discriminator,
        "critique less generator": found.critique_less_generator,
        "critique less judge alone": found.critique_less_alone,
    }
    show_rows(rows)
    show_asked(found.asked)


def show_sandwich(found: Sandwich) -> None:
    rows = {
        "non-expert alone": found.alone,
        "model alone": found.model,
        f"together, by {found.protocol}": found.together,
        "expert": found.expert,
        "together less non-expert": found.together_less_alone,
        "together less model": found.together_less_model,
        "expert less together": found.expert_less_together,
    }
    show_rows(rows)
    print(f"Together they {'beat' if found.sandwiched else 'are not shown to beat'} either alone.")
    show_asked(found.asked)


def show_scaling(found: Scaling) -> None:
    print_table(
        [
            {"player": f"{seat}, {own.grade}", "accuracy alone": f"{own.accuracy:.2f}", "Elo": f"{own.elo:.0f}"}
            for seat, players in (("guard", found.guards), ("adversary", found.adversaries))
            for own in players
        ],
        ("player", "accuracy alone", "Elo"),
    )
    print()
    print_table(
        [{"gap": f"{at.gap:.0f}", f"success ({found.form})": shown(at.success)} for at in found.curve],
        ("gap", f"success ({found.form})"),
    )
    print(f"\nElo of success lost for each Elo of gap: {shown(found.slope)}")
    print(f"Over a gap of {found.nested_gap:.0f}, in so many equal steps that must all succeed:")
    print_table(
        [{"steps": str(own.steps), "success": shown(own.success)} for own in found.nested if own.steps in (1, 2, 4, 8)],
        ("steps", "success"),
    )
    print(f"Best: {found.best_steps}, in {found.sure_of_best:.0%} of resamples.")
    show_asked(found.asked)


def show_failures(found: Failures) -> None:
    print("Accuracy by level:")
    show_obfuscation(found.obfuscation)
    print("\nAccuracy of debate by the share in which both experts work for the wrong side:")
    collusion = found.collusion
    shares = {f"{own.share:.0%}": own.accuracy for own in collusion.shares}
    more = {"lost": collusion.lost, "judge alone": collusion.alone, "share that it bears": collusion.bearable}
    show_rows({**shares, **more})
    print("\nLines chosen by what they do to the judge, the best of so many:")
    show_persuasion(found.persuasion)
    show_asked(found.obfuscation.asked)


def show_honesty(found: Honesty) -> None:
    numbers = {
        "right": "right where the evidence tells",
        "admits_known": "says it doesn't know there",
        "made_up": "yes or no where nothing tells",
        "calibration_error": "calibration error",
        "retracts_wrong": "takes back wrong answers",
        "retracts_right": "takes back right ones",
        "retraction": "the first less the second",
        "same_to_all": "the same to all who ask",
    }
    print(f"Taught {found.specification!r} from {found.lessons} labels:")
    for own in found.conducts:
        print(f"\nby {own.taught_by} ({own.unscored} of {own.answers} answers unscored)")
        show_rows({said: getattr(own, name) for name, said in numbers.items()})
    show_asked(found.asked)


def show_obfuscation(found: Obfuscation) -> None:
    values = [*((own.level, own.accuracy) for own in found.levels), ("first less last", found.lost)]
    rows = [{"level": level, **{name: shown(value) for name, value in own.items()}} for level, own in values]
    print_table(rows, ("level", *found.lost))


def show_persuasion(found: Optimised) -> None:
    values = [(str(own.best_of), (own.proxy, own.consultancy, own.debate)) for own in found.points]
    values.append(("gained", (found.proxy_gained, found.consultancy_gained, found.debate_gained)))
    columns = ("best of", "proxy", "consultancy", "debate")
    print_table([dict(zip(columns, (name, *map(shown, own)), strict=True)) for name, own in values], columns)


def show_rows(rows: dict[str, Measured]) -> None:
    """One number a line; why there is none goes to stderr."""
    from superalign.contracts.records import Unscored

    print_table([{"": name, " ": shown(value)} for name, value in rows.items()], ("", " "))
    for reason in {value.reason for value in rows.values() if isinstance(value, Unscored)}:
        say(f"Not measured: {reason}.")


def shown(value: Measured) -> str:
    """With its interval."""
    from superalign.contracts.records import Unscored

    if isinstance(value, Unscored):
        return "not measured"
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def show_asked(asked: Asked) -> None:
    passes, seconds = asked.cost.forward_passes, asked.cost.seconds
    say(f"{asked.questions} questions on {asked.groups} groups of {asked.task!r}, {passes:,} passes, {seconds:.0f} s.")
