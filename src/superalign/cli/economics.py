"""`superalign economics`: what an automated researcher amounts to, and what a recipe of training is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_json, print_table, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.economics.forecast import Forecast

app = typer.Typer(no_args_is_help=True, help="Research labour from compute, and the gain of a recipe of training.")
LABOUR_EXAMPLES = """Examples:

superalign economics labour

superalign economics labour --set readings.working_hours=serial-only

superalign economics labour uncertain --drives researchers --html labour.html
"""


def labour(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario (YAML), or one of: published, uncertain.")
    ] = "published",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key, as in labour.streams=3."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Take this seed instead of the scenario's.")] = None,
    samples: Annotated[int | None, typer.Option(min=100, help="How often uncertain inputs are drawn.")] = None,
    drives: Annotated[
        str | None, typer.Option(metavar="OUTCOME", help="Look for the inputs that drive this outcome.")
    ] = None,
    html: Annotated[str | None, typer.Option(metavar="PATH", help="Write an interactive page.")] = None,
    svg: Annotated[str | None, typer.Option(metavar="PATH", help="Write the charts.")] = None,
    write: Annotated[str | None, typer.Option(metavar="PATH", help="Write the scenario, to go on from.")] = None,
    as_json: AsJson = False,
) -> None:
    """Work out how much research labour a scenario has, how much of it people can supervise, and who is first.

    Uncertain inputs are drawn many times; printed figures of the source are held against what follows.
    """
    from superalign.economics.forecast import forecast
    from superalign.economics.scenario import load_scenario, scenario_yaml

    named = (("seed", seed), ("samples", samples))
    chosen = load_scenario(
        scenario, [*(changes or ()), *(f"{key}={value}" for key, value in named if value is not None)]
    )
    found = forecast(chosen, drives)
    if write:
        _write(write, scenario_yaml(chosen))
    if html:
        from superalign.economics.page import render

        _write(html, render(found))
    if svg:
        _draw(found, Path(svg))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)


def gain(
    points: Annotated[
        str, typer.Argument(metavar="FILE", help="Points (JSON or CSV): recipe, seed, compute and loss of each.")
    ],
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="The recipe whose gain it is.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="What it is compared with. Default: the file's first.")
    ] = None,
    loss: Annotated[
        list[float] | None, typer.Option(help="At this loss; once for each. Default: four that all seeds share.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How much less compute one recipe of training takes than another to the same loss, with an interval over seeds."""
    from superalign.contracts.records import Unscored
    from superalign.economics.gain import gains, read_points

    found = gains(read_points(Path(points)), recipe, baseline, loss or ())
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    from superalign.economics.drawn import short
    from superalign.report.terminal import plain

    pairs = ", seed by seed" if found.paired else ""
    print(f"Compute of {plain(found.baseline)} over that of {plain(found.recipe)}, at equal loss.")
    print(f"{found.seeds} seeds{pairs}.\n")
    rows = [
        {"loss": f"{at.loss:.4g}", "gain": "unscored", "95 %": at.gain.reason}
        if isinstance(at.gain, Unscored)
        else {
            "loss": f"{at.loss:.4g}",
            "gain": short(at.gain.value),
            "95 %": f"{short(at.gain.low)} to {short(at.gain.high)}",
        }
        for at in found.at
    ]
    print_table(rows, ("loss", "gain", "95 %"))


def _show(found: Forecast) -> None:
    from superalign.economics import drawn
    from superalign.report.terminal import plain

    source = f" ({found.scenario.source})" if found.scenario.source else ""
    print(f"{plain(found.scenario.name).capitalize()}{plain(source)}.\n{drawn.readings(found)}\n")
    columns = ["outcome", "middle", "90 % of samples", "unit"]
    print_table(drawn.outcome_rows(found), columns if found.drivers else [columns[0], columns[1], columns[3]])
    if rows := drawn.printed_rows(found):
        print("\nFigures as the source prints them, against its own inputs:\n")
        print_table(rows, ("printed figure", "printed", "here", "follows"))
    if rows := drawn.driver_rows(found):
        print(f"\nWhat drives {found.drives}:\n")
        print_table(rows, ("input", "rank correlation", "share of the spread"))


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"This can't be written: {error.strerror}.", where=path, fix="Name another path.") from None
    say(f"Written: {path}")


def _draw(found: Forecast, path: Path) -> None:
    from superalign.economics.drawn import charts
    from superalign.report.charts import write

    drawn = charts(found)
    if not drawn:
        raise InputError("Nothing in this scenario is uncertain, so there is nothing to draw.", fix="Leave --svg out.")
    try:
        write(path, *drawn)
    except OSError as error:
        raise InputError(f"This can't be written: {error.strerror}.", where=str(path), fix="Name another.") from None
    say(f"Written: {path}")


app.command("labour", epilog=LABOUR_EXAMPLES)(labour)
app.command("gain", epilog="Example: superalign economics gain points.csv --baseline plain --recipe fast")(gain)
