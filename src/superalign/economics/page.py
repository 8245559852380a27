"""The interactive page: one file that works every outcome out again as its sliders move, with no script from elsewhere.

Its arithmetic is written from the very formulas that Python evaluates.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from superalign.economics.drawn import between, charts, printed_rows, readings
from superalign.economics.equations import EQUATIONS
from superalign.economics.forecast import Forecast
from superalign.economics.formulas import javascript
from superalign.economics.scenario import Scenario


def render(found: Forecast) -> str:
    """The page. Names and sources are untrusted and escaped; its policy lets no script run but its own, by its hash."""
    own, report = files("superalign.economics"), files("superalign.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((own / "page.html").read_text(encoding="utf-8"))
    whole = script(found.scenario)
    return template.render(
        found=found,
        reads=readings(found),
        style=Markup((report / "style.css").read_text(encoding="utf-8")),
        script=Markup(whole),
        script_hash=base64.b64encode(hashlib.sha256(whole.encode()).digest()).decode(),
        data=Markup(json.dumps(data(found), allow_nan=False).replace("<", "\\u003c")),
        charts=[Markup(chart) for chart in charts(found)],
        printed=printed_rows(found),
        between={each.name: between(each) for each in found.outcomes},
        equations={each.name: each for each in EQUATIONS},
        formulas=found.scenario.formulas(),
    )


def script(scenario: Scenario) -> str:
    """The page's program: the formulas of every reading, then what draws."""
    counted = scenario.formulas()
    written = []
    for equation in scenario.equations:
        choices = equation.formulas if equation.name in READ_BY else {"": counted[equation.name]}
        arms = ", ".join(f"{json.dumps(reading)}: v => {javascript(text)}" for reading, text in choices.items())
        written.append(f"  {equation.name}: {{{arms}}},\n")
    program = (files("superalign.economics") / "page.js").read_text(encoding="utf-8")
    return f"const FORMULAS = {{\n{''.join(written)}}};\nconst READ_BY = {json.dumps(READ_BY)};\n{program}"


READ_BY = {"training_compute": "training", "researchers": "working_hours"}  # the reading that chooses the formula


def data(found: Forecast) -> dict[str, object]:
    """What the program is told: inputs with their middles and ranges, what is given, and the readings."""
    scenario = found.scenario
    inputs = [
        {
            "name": name,
            "says": description,
            "value": float(value.at(0.5)),
            "low": value.range[0],
            "high": value.range[1],
            "linear": value.range[0] == 0,
        }
        for name, value, description in scenario.inputs()
    ]
    given = [
        {
            "name": name,
            "says": type(scenario.given).model_fields[name].description or "",
            "value": float(value.at(0.5)),
            "low": value.range[0],
            "high": value.range[1],
            "linear": False,
        }
        for name, value in scenario.given
        if value is not None
    ]
    units = {each.name: each.unit for each in scenario.equations}
    return {
        "inputs": inputs,
        "given": given,
        "readings": scenario.readings.model_dump(),
        "units": units,
        "drives": found.drives,
    }
