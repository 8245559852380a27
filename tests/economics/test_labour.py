"""Research labour: the published example and its two readings, uncertainty, bottlenecks, theft, and the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError, PlanError
from superalign.economics.equations import EQUATIONS
from superalign.economics.forecast import Forecast, centre, drawn, forecast, upstream, worked_out
from superalign.economics.formulas import evaluated, names
from superalign.economics.page import render, script
from superalign.economics.scenario import Readings, Scenario, load_scenario, scenario_yaml, shipped
from superalign.economics.uncertain import Hours, Quantity, Share
from tests.report.browser import find_browser, open_page

positive = st.floats(1e-3, 1e6)


def with_(*overrides: str, of: str = "uncertain") -> Forecast:
    return forecast(load_scenario(of, ["samples=500", *overrides]))


def central(found: Forecast, name: str) -> float:
    return found.outcome(name).central


class TestPublishedExample:
    @pytest.fixture
    def found(self) -> Forecast:
        return with_(of="published")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("flops", 1e21),
            ("training_compute", 1e21 * 365.25 * 24 * 3600 * 0.5),
            ("researcher_seconds", 2.3e5),
            ("speed", 5.0),
            ("serial_months", 15.0),
            ("researchers", 46_000.0),
            ("labour", 690_000.0),
        ],
    )
    def test_follows_from_its_inputs(self, found: Forecast, name: str, value: float) -> None:
        assert central(found, name) == pytest.approx(value)

    def test_two_printed_figures_do_not_follow_and_say_which_reading_they_take(self, found: Forecast) -> None:
        wrong = {each.name: each for each in found.printed if not each.agrees}
        assert set(wrong) == {"training_compute", "researchers"}
        assert {each.training for each in wrong["training_compute"].agrees_under} == {"peak"}
        assert {each.working_hours for each in wrong["researchers"].agrees_under} == {"serial-only"}

    def test_its_model_needs_the_compute_at_its_utilisation_and_no_more(self, found: Forecast) -> None:
        [size] = [each for each in found.printed if each.name == "parameters"]
        assert size.printed == 1.1e13
        assert size.agrees
        assert {each.training for each in size.agrees_under} == {"utilised"}
        assert pytest.approx(1.6e28, rel=0.1) == 6 * 20 * 1.1e13**2

    def test_the_other_readings_can_be_chosen(self) -> None:
        found = with_("readings.training=peak", "readings.working_hours=serial-only", of="published")
        assert central(found, "training_compute") == pytest.approx(3e28, rel=0.06)
        assert central(found, "researchers") == pytest.approx(15_000, rel=0.03)
        agreeing = {each.name for each in found.printed if each.agrees}
        assert {"training_compute", "researchers"} <= agreeing
        assert "parameters" not in agreeing, "the two readings of training can't both hold"

    def test_a_figure_that_follows_under_no_reading_is_said_so(self) -> None:
        found = with_("printed.serial_months=40", of="published")
        [months] = [each for each in found.printed if each.name == "serial_months"]
        assert not months.agrees
        assert months.agrees_under == ()


class TestEquations:
    @settings(max_examples=25)
    @given(positive, positive, positive, positive, st.floats(1, 168))
    def test_researchers_are_as_many_as_have_streams(
        self, tokens: float, per_second: float, serial: float, streams: float, hours: float
    ) -> None:
        """Counted a third way: streams that run at once, by streams of a researcher. Working hours do not matter."""
        scenario = load_scenario(
            "published",
            [
                f"given.tokens_per_second={tokens!r}",
                f"labour.tokens_per_researcher_second={per_second!r}",
                f"labour.serial_tokens_per_second={serial!r}",
                f"labour.streams={streams!r}",
                f"labour.working_hours={hours!r}",
            ],
        )
        _, values = worked_out(*centre(scenario), scenario.formulas())
        assert values["researchers"] == pytest.approx(values["concurrent_streams"] / streams)
        assert values["labour"] == pytest.approx(values["researcher_seconds"] * 168 / hours)

    def test_every_name_is_an_input_or_an_outcome_before(self) -> None:
        known = {name for name, _, _ in load_scenario("uncertain").inputs()}
        for equation in EQUATIONS:
            for formula in equation.formulas.values():
                assert names(formula) <= known, equation.name
            known.add(equation.name)

    def test_formulas_mean_what_python_means(self) -> None:
        values = {name: np.array([value]) for name, value in {"a": 3.0, "b": 2.0, "c": 0.5}.items()}
        assert evaluated("a - b - c", values) == 0.5
        assert evaluated("a / b / c", values) == 3.0
        assert evaluated("(a + b) ** c", values) == pytest.approx(5**0.5)
        assert evaluated("max(0, b - a) + min(a, b) + positive(c)", values) == 3.0

    def test_formulas_hold_nothing_but_arithmetic(self) -> None:
        for text in ("__import__", "a.b", "a[0]", "'x'", "a if b else c", "open(a)", "-a"):
            with pytest.raises((ValueError, KeyError)):
                evaluated(text, {"a": np.ones(1), "b": np.ones(1), "c": np.ones(1)})


class TestSupervision:
    def test_labour_counts_as_far_as_people_can_look_at_its_results(self) -> None:
        found = with_()
        looked_at = central(found, "approvals") / central(found, "results")
        assert 0 < looked_at < 1
        assert central(found, "counted_labour") == pytest.approx(central(found, "labour") * looked_at)
        enough = with_(f"supervision.reviewers={central(found, 'reviewers_needed') * 1.001!r}")
        assert central(enough, "approved_share") == 1.0
        quick = with_(f"supervision.minutes_per_result={central(found, 'affordable_minutes') * 0.999!r}")
        assert central(quick, "approved_share") == 1.0

    def test_more_chips_do_not_help_where_people_are_the_bottleneck(self) -> None:
        few, many = with_("compute.chips=4e21"), with_("compute.chips=4e22")
        assert central(many, "labour") > 3 * central(few, "labour")
        assert central(many, "counted_labour") == pytest.approx(central(few, "counted_labour"))

    def test_a_wait_for_approval_slows_the_series(self) -> None:
        assert central(with_("supervision.wait_hours=1e-9"), "counted_serial_months") == pytest.approx(
            central(with_(), "serial_months")
        )
        slow = with_("supervision.wait_hours=1000", "supervision.hours_per_result=40", "labour.working_hours=40")
        assert central(slow, "counted_serial_months") < 168 / 1000

    def test_without_supervision_all_labour_counts(self) -> None:
        found = with_("supervision=null")
        assert central(found, "counted_labour") == central(found, "labour")
        assert "approvals" not in {each.name for each in found.outcomes}


class TestRace:
    def test_a_thief_without_compute_gains_nothing(self) -> None:
        found = with_("race.rival_compute=1e-12", "race.lead_months=6")
        assert central(found, "lead_after_theft") == pytest.approx(6)

    def test_a_theft_after_the_lead_changes_nothing(self) -> None:
        found = with_("race.theft_months=50", "race.lead_months=6")
        assert central(found, "lead_after_theft") == 6.0

    def test_more_compute_for_the_thief_leaves_less_lead_but_never_less_than_the_theft_takes(self) -> None:
        leads = [central(with_(f"race.rival_compute={x}"), "lead_after_theft") for x in (0.01, 0.1, 1, 10)]
        assert leads == sorted(leads, reverse=True)
        assert leads[-1] > 1.75, "the middle of theft_months"

    def test_the_probability_of_being_first_mixes_theft_and_none(self) -> None:
        ours = ("race.needed_researcher_years=0.001", "race.needed_serial_months=0.001")
        assert with_(*ours).outcome("done_first").mean == 1.0
        between = (*ours, "race.needed_serial_months=1000", "race.lead_months=1e6", "race.theft_months=1e-6")
        fixed = (*between, "race.theft_probability=0.3", "race.rival_compute=1e9", "race.returns=1")
        assert with_(*fixed).outcome("done_first").mean == pytest.approx(0.7)


class TestUncertainty:
    @pytest.mark.parametrize(
        ("value", "inside"),
        [
            (Quantity(lognormal=(1, 100)), 0.9),
            (Quantity(loguniform=(1, 100)), 1.0),
            (Quantity(uniform=(1, 100)), 1.0),
            (Share(logitnormal=(0.1, 0.4)), 0.9),
            (Share(uniform=(0.1, 0.4)), 1.0),
        ],
    )
    def test_ends_hold_the_share_that_they_say(self, value: Quantity | Share, inside: float) -> None:
        _, (low, high) = value.way
        shares = np.linspace(0.0005, 0.9995, 1000)
        drawn_values = value.at(shares)
        assert np.all(np.diff(drawn_values) > 0)
        assert np.mean((drawn_values >= low) & (drawn_values <= high)) == pytest.approx(inside, abs=0.002)
        assert np.all(drawn_values > 0)

    def test_log_normal_factors_multiply_to_a_log_normal(self) -> None:
        """The product of log-normals is one: its interval is known without drawing."""
        found = with_(
            "given.tokens_per_second={lognormal: [1e6, 1e8]}",
            "labour.tokens_per_researcher_second={lognormal: [10, 1000]}",
            "samples=200000",
            of="published",
        )
        outcome = found.outcome("researcher_seconds")
        half = np.sqrt(2) * np.log(10)
        assert np.log(outcome.median) == pytest.approx(np.log(1e5), abs=0.03)
        assert np.log(outcome.high / outcome.low) == pytest.approx(2 * half, rel=0.02)
        shares = {each.input: each.share for each in found.drivers}
        assert set(shares) == {"tokens_per_second", "tokens_per_researcher_second"}
        assert sum(shares.values()) == pytest.approx(1, abs=0.15)
        assert shares["tokens_per_second"] == pytest.approx(shares["tokens_per_researcher_second"], abs=0.02)

    def test_the_same_seed_draws_the_same_and_another_seed_another(self) -> None:
        assert with_() == with_()
        assert with_("seed=1").outcome("labour").mean != with_().outcome("labour").mean

    def test_an_input_keeps_its_draws_when_another_changes(self) -> None:
        first, _ = drawn(load_scenario("uncertain"))
        second, _ = drawn(load_scenario("uncertain", ["labour.streams=3"]))
        assert np.array_equal(first["chips"], second["chips"])
        assert abs(np.corrcoef(first["chips"], first["streams"])[0, 1]) < 0.05

    def test_drivers_are_inputs_that_the_outcome_rests_on(self) -> None:
        found = forecast(load_scenario("uncertain"), "labour")
        assert {each.input for each in found.drivers} <= upstream(found.scenario, "labour")
        assert "minutes_per_result" not in upstream(found.scenario, "labour")
        assert found.drivers[0].input == "tokens_per_researcher_second"
        assert found.drivers[0].rank_correlation < 0

    def test_what_is_certain_has_no_interval_and_no_drivers(self) -> None:
        found = with_(of="published")
        assert found.drivers == ()
        assert all(each.low == each.high for each in found.outcomes)


class TestScenarios:
    @pytest.mark.parametrize("name", shipped())
    def test_reads_back_what_it_writes(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / "again.yaml"
        path.write_text(scenario_yaml(load_scenario(name)))
        assert load_scenario(str(path)) == load_scenario(name)

    @pytest.mark.parametrize(
        ("override", "says"),
        [
            ("compute.chip=1", "Did you mean `chips`?"),
            ("compute.chips=0", "compute.chips"),
            ("compute.chips=many", "compute.chips"),
            ("compute.share=1.5", "compute.share"),
            ("compute.chips={lognormal: [2, 1]}", "lower one first"),
            ("compute.chips={lognormal: [1, 2], uniform: [1, 2]}", "one distribution"),
            ("compute.chips={lognorml: [1, 2]}", "Did you mean `lognormal`?"),
            ("compute.chips={}", "one distribution"),
            ("compute.chips=.nan", "compute.chips"),
            ("labour.working_hours=169", "168 hours"),
            ("readings.training=best", "readings.training"),
            ("printed.nothing=1", "no equation"),
            ("printed.done_first=1", "no equation"),
            ("samples=3", "samples"),
        ],
    )
    def test_what_no_scenario_says_is_refused(self, override: str, says: str) -> None:
        with pytest.raises(PlanError, match=re.escape(says)):
            load_scenario("published", [override])

    def test_outcomes_that_are_no_numbers_are_refused(self) -> None:
        with pytest.raises(InputError, match="share"):
            with_("compute.share=0", of="published")
        with pytest.raises(InputError, match="finite"):
            with_("compute.chips=1e308", "labour.streams=1e308", of="published")

    def test_names_that_there_are_not(self) -> None:
        with pytest.raises(InputError, match="published"):
            load_scenario("publishd")
        with pytest.raises(InputError, match="researchers"):
            forecast(load_scenario("published"), "researcher")

    def test_hours_are_of_a_week(self) -> None:
        assert Hours(value=168).range == (1.0, 168.0)


class TestPage:
    @pytest.mark.parametrize("name", shipped())
    def test_its_arithmetic_is_pythons(self, name: str, tmp_path: Path) -> None:
        """The page's program works out samples of the inputs under all readings, as Python does."""
        scenario = load_scenario(name, ["samples=100"])
        inputs, taken = drawn(scenario)
        asked = [
            {
                "inputs": {key: float(values[i]) for key, values in inputs.items()},
                "given": {key: float(values[i]) for key, values in taken.items()},
                "readings": {"training": training, "working_hours": hours},
            }
            for i in range(20)
            for training in ("utilised", "peak")
            for hours in ("both", "serial-only")
        ]
        answers = _ask(scenario, asked, tmp_path)
        for one, answer in zip(asked, answers, strict=True):
            arrays = [{key: np.array([value]) for key, value in one[part].items()} for part in ("inputs", "given")]
            readings = Readings.model_validate(one["readings"])
            _, expected = worked_out(arrays[0], arrays[1], scenario.formulas(readings))
            assert set(expected) <= set(answer)
            for key, value in expected.items():
                assert answer[key] == pytest.approx(float(value[0]), rel=1e-12), key

    def test_sliders_and_readings_change_what_is_shown(self, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        page.write_text(render(with_(of="published")), encoding="utf-8")
        shown = _moved(page, tmp_path)
        assert shown["before"]["researchers"] == "46,000"
        assert shown["reading"]["researchers"] == "15,300"
        assert shown["peak"]["training_compute"] == "3.16e28"
        assert shown["moved"]["speed"] == "10"
        assert shown["marks"] == 2, "the curve and its point"

    def test_it_runs_nothing_else_and_escapes_what_it_is_given(self) -> None:
        text = render(with_("name='<script>alert(1)</script>'", "source='</script><b>'", of="published"))
        assert "<script>alert" not in text
        assert "<b>" not in text
        assert not re.search(r"(src|href)=", text)
        assert len(re.findall(r"<script", text)) == 2
        assert "script-src 'sha256-" in text

    def test_nothing_is_wrong_in_a_browser(self, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        page.write_text(render(with_()), encoding="utf-8")
        dom, console = open_page(page)
        assert not console
        cells = re.findall(r'data-outcome="(\w+)">([^<]*)<', dom)
        assert len(cells) == len(load_scenario("uncertain").equations)
        assert all(re.search(r"\d", words) for _, words in cells)


def _ask(scenario: Scenario, asked: list[dict[str, Any]], folder: Path) -> list[dict[str, float]]:
    """What the page's own program makes of the inputs: in node where there is one, else in the browser."""
    program = (
        f"{script(scenario)}\nconst ANSWERS = JSON.stringify({json.dumps(asked)}.map(one => workedOut(one.inputs, "
    )
    program += "one.given, one.readings)));\n"
    if node := shutil.which("node"):
        file = folder / "program.js"
        file.write_text(f"{program}console.log(ANSWERS);\n")
        done = subprocess.run([node, str(file)], capture_output=True, text=True, timeout=60, check=True)
        return list(json.loads(done.stdout))
    page = folder / "program.html"
    page.write_text(
        f'<!doctype html><pre id="out"></pre><script>{program}'
        'document.getElementById("out").textContent=ANSWERS;</script>'
    )
    found = re.search(r'<pre id="out">(.*?)</pre>', open_page(page)[0], re.DOTALL)
    assert found
    return list(json.loads(unescape(found[1])))


def _moved(page: Path, folder: Path) -> dict[str, Any]:
    """What the page shows before and after somebody moves its dials."""
    assert find_browser()
    act = """
    onload = () => {
      const page = document.querySelector('iframe').contentDocument, found = {};
      const read = name => { found[name] = Object.fromEntries([...page.querySelectorAll('[data-outcome]')].map(
        cell => [cell.dataset.outcome, cell.textContent])); };
      const choose = value => { const one = page.querySelector(`input[value="${value}"]`); one.checked = true;
        one.dispatchEvent(new Event('change')); };
      read('before'); choose('serial-only'); read('reading'); choose('peak'); read('peak');
      const field = page.querySelector('[data-input=streams] input[type=number]');
      field.value = '20'; field.dispatchEvent(new Event('input')); read('moved');
      found.marks = page.querySelectorAll('#sweep .mark').length;
      const out = document.createElement('pre'); out.id = 'out'; out.textContent = JSON.stringify(found);
      document.body.replaceChildren(out);
    };"""
    harness = folder / "harness.html"
    source = escape(page.read_text(encoding="utf-8"))
    harness.write_text(
        f'<!doctype html><meta charset="utf-8"><body><iframe srcdoc="{source}"></iframe><script>{act}</script>'
    )
    dom, console = open_page(harness)
    assert not console, console
    found = re.search(r'<pre id="out">(.*?)</pre>', dom, re.DOTALL)
    assert found
    return dict(json.loads(unescape(found[1])))


def test_the_page_of_the_documentation_has_every_equation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "concepts" / "economics.md").read_text(encoding="utf-8")
    for equation in EQUATIONS:
        [row] = [line for line in text.splitlines() if line.startswith(f"| `{equation.name}` | {equation.unit} |")]
        assert equation.assumes in row
        assert all(f"`{formula}`" in row for formula in equation.formulas.values())
