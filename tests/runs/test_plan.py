"""A plan that is read says what the file says; one that can't be read says which key, where, and what to type."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError, PlanError
from superalign.runs.chosen import label, named
from superalign.runs.plan import Criteria, Plan, load_plan, plan_digest, plan_fields, plan_yaml

SPECIFICATION = {
    "name": "truthful",
    "summary": "Answers truthfully.",
    "clauses": [
        {"id": "true", "text": "Say what is true.", "tested_by": [{"task": "cities", "require": "true-answer"}]}
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "truthful.yaml").write_text(yaml.safe_dump(SPECIFICATION))
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(f"name: quick\nspecification: specs/truthful.yaml\n{text}")
    return path


def test_a_small_plan_is_filled_with_defaults(folder: Path) -> None:
    plan = load_plan(written(folder, "validate: {habits: 6}\ngeneralize:\n  training: {learning_rate: 3e-4}"))
    assert plan.validation.habits == 6
    assert plan.generalize.training.learning_rate == 3e-4
    assert plan.specification.clauses[0].tested_by[0].require == "true-answer"
    assert plan.seed == 0


def test_the_specification_may_be_inline(folder: Path) -> None:
    (folder / "inline.yaml").write_text(yaml.safe_dump({"name": "quick", "specification": SPECIFICATION}))
    assert load_plan(folder / "inline.yaml") == load_plan(written(folder, ""))


def test_criteria_may_be_a_file_inline_or_left_out(folder: Path) -> None:
    (folder / "strict.yaml").write_text("recall_low_at_least: 0.9\nmissed_at_most: 0")
    by_path = load_plan(written(folder, "criteria: strict.yaml"))
    inline = load_plan(written(folder, "criteria: {recall_low_at_least: 0.9, missed_at_most: 0}"))
    assert by_path == inline and plan_digest(by_path) == plan_digest(inline)  # sealed as values, never as a path
    assert load_plan(written(folder, "")).criteria == Criteria()
    assert load_plan(written(folder, ""), ["criteria=strict.yaml"]).criteria == by_path.criteria
    eased = load_plan(written(folder, "criteria: strict.yaml"), ["criteria.recall_low_at_least=0.5"]).criteria
    assert eased == by_path.criteria.model_copy(update={"recall_low_at_least": 0.5})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("recal_low_at_least: 0.9", "`recall_low_at_least`"),
        ("recall_low_at_least: 90", "less than or equal to 1"),
        ("- 0.9", "list of criteria"),
        ("a: [", "YAML"),
        (None, "There is no list of criteria here"),
    ],
)
def test_a_criteria_file_that_says_something_else_is_named(folder: Path, content: str | None, said: str) -> None:
    if content is not None:
        (folder / "strict.yaml").write_text(content)
    with pytest.raises(InputError) as caught:
        load_plan(written(folder, "criteria: strict.yaml"))
    assert said in str(caught.value) and "strict.yaml" in str(caught.value)


def test_limits_on_capability_are_criteria_and_leave_other_plans_as_they_were(folder: Path) -> None:
    plain = load_plan(written(folder, ""))
    assert "capability" not in plan_yaml(plain)
    settings = ["capability=scores.json", "criteria.capability_at_most.self-copying=0.2"]
    limited = load_plan(written(folder, ""), settings)
    assert (limited.capability, limited.criteria.capability_at_most) == ("scores.json", {"self-copying": 0.2})
    assert plan_digest(limited) != plan_digest(plain)
    (folder / "again.yaml").write_text(plan_yaml(limited))
    assert load_plan(folder / "again.yaml") == limited
    for wrong in ("-1", "much", ".nan", ".inf"):
        with pytest.raises(PlanError):
            load_plan(written(folder, ""), [f"criteria.capability_at_most.self-copying={wrong}"])


def test_the_criteria_that_are_shipped_are_criteria(folder: Path) -> None:
    root = Path(__file__).parents[2]
    shipped = {
        path.stem: load_plan(written(folder, ""), [f"criteria={path}"]).criteria
        for path in (root / "criteria").glob("*.yaml")
    }
    assert set(shipped) == {"strict", "permissive"}
    assert shipped["strict"].recall_low_at_least > shipped["permissive"].recall_low_at_least
    for plan in ("suite", "search"):
        assert load_plan(root / "plans" / f"{plan}.yaml").criteria == shipped["strict"]


def test_overrides_and_seed_win_over_the_file(folder: Path) -> None:
    path = written(folder, "seed: 3\ntask: {test_groups: 50}")
    overrides = ["task.test_groups=100", "generalize.training.steps=7", "stress.families=[password-lock]", "model=a=b"]
    plan = load_plan(path, overrides, seed=9)
    assert (plan.task.test_groups, plan.generalize.training.steps, plan.seed) == (100, 7, 9)
    assert plan.stress.families == ("password-lock",)
    assert plan.model == "a=b"


def test_setting_one_key_of_a_section_leaves_the_others_at_their_defaults(folder: Path) -> None:
    default = load_plan(written(folder, "")).stress.training
    changed = load_plan(written(folder, "stress: {training: {rank: 8}}")).stress.training
    assert changed == default.model_copy(update={"rank": 8})
    fields = {field.key: field.default for field in plan_fields()}
    assert fields["stress.training.steps"] == str(default.steps)


def test_a_part_is_named_alone_or_with_its_arguments(folder: Path) -> None:
    compare = "compare: {protocols: [direct, debate: {order: sequential}]}"
    oversee = "oversee: {overseer: {debate: {judge: scripted}}}"
    plan = load_plan(written(folder, f"{compare}\n{oversee}"))
    assert plan.compare is not None
    assert [named(chosen) for chosen in plan.compare.protocols] == [
        ("direct", {}),
        ("debate", {"order": "sequential"}),
    ]
    assert label(plan.oversee.overseer) == "debate (judge scripted)"
    (folder / "again.yaml").write_text(plan_yaml(plan))
    assert load_plan(folder / "again.yaml") == plan
    assert load_plan(written(folder, "")).compare is None
    over = load_plan(written(folder, ""), ["oversee.overseer={debate: {order: sequential}}", "until=oversee"])
    assert (label(over.oversee.overseer), over.until) == ("debate (order sequential)", "oversee")


def test_the_digest_is_of_what_is_asked_for_not_of_the_file(folder: Path) -> None:
    plain = load_plan(written(folder, ""))
    assert plan_digest(plain) == plan_digest(load_plan(written(folder, "# comment\ntask: {name: cities}")))
    assert plan_digest(plain) != plan_digest(load_plan(written(folder, ""), ["seed=1"]))


@example(0, 1e-7, "0E0")
@settings(deadline=None)
@given(st.integers(0, 10**9), st.floats(1e-12, 1e6), st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
def test_a_resolved_plan_reads_back_equal(tmp_path_factory: Any, seed: int, rate: float, model: str) -> None:
    plan = Plan.model_validate(
        {
            "name": "quick",
            "specification": SPECIFICATION,
            "seed": seed,
            "model": model,
            "generalize": {"training": {"learning_rate": rate}},
        }
    )
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(plan_yaml(plan))
    assert load_plan(path) == plan


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sed: 3", ["`sed`", "`seed`"]),
        ("generalize: {training: {stepz: 3}}", ["`generalize.training.stepz`", "`steps`"]),
        ("validation: {habits: 6}", ["`validation`", "`validate`"]),
        ("stress: {xyzzy: 3}", ["`stress.xyzzy`", "families, implants"]),
        ("seed: many", ["`seed`", '"many"', "valid integer", "Everything random"]),
        ("seed: true", ["`seed`", "true", "valid integer"]),
        ("seed: '3'", ["`seed`", '"3"', "valid integer"]),
        ("seed: -1", ["`seed`", "-1", "greater than or equal to 0"]),
        ("version: 2", ["`version`", "2", "less than or equal to 1"]),
        ("generalize: {training: {learning_rate: .nan}}", ["`generalize.training.learning_rate`", "finite"]),
        ("generalize: {training: {learning_rate: 0.0}}", ["greater than 0"]),
        ("validate: {detectors: []}", ["`validate.detectors`", "at least 1"]),
        ("validate: {detectors: [consistency, 3]}", ["`validate.detectors.1`", "valid string"]),
        ("stress: {families: [backdoor, collusion, backdoor]}", ["`stress.families`", "names backdoor twice"]),
        ("stress: {concealments: [none, none]}", ["`stress.concealments`", "names none twice"]),
        ("validate: {detectors: [knowledge, knowledge]}", ["`validate.detectors`", "names knowledge twice"]),
        ("compare: {protocls: [direct]}", ["`compare.protocls`", "`protocols`"]),
        ("compare: {seeds: 0}", ["`compare.seeds`", "greater than or equal to 1"]),
        ("compare: {protocols: [direct, direct]}", ["`compare.protocols`", "names direct twice"]),
        ("compare: {protocols: [{debate: sequential}]}", ["`compare.protocols.0`", "`debate: {order: sequential}`"]),
        ("compare: {protocols: [{debate: {}, direct: {}}]}", ["`compare.protocols.0`", "a name with arguments"]),
        ("oversee: {overseer: [debate]}", ["`oversee.overseer`", "should be a name"]),
        ("until: overse", ["`until`", '"overse"', "'oversee'"]),
        ("task: cities", ["`task`", '"cities"', "object"]),
        ("task:", ["`task`", "null"]),
        ("1: 2", ["`1`"]),
        ("seed: 1\nseed: 2", ["is given twice", "line 4, column 1"]),
        ("seed: [1", ["YAML", "line"]),
        ("task: {a: b: c}", ["YAML", "line 3, column"]),
        ("task: &a {name: *a}", ["Circular"]),
        ("model: !!python/object/apply:os.getcwd []", ["YAML", "line 3"]),
        ("model: !!binary aGVsbG8=", ["plain values"]),
        ("? [1, 2]\n: 3", ["YAML"]),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_to_type(folder: Path, text: str, said: list[str]) -> None:
    path = written(folder, text)
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    for part in (*said, str(path)):
        assert part in str(caught.value)
    assert caught.value.fix
    assert "\n" not in str(caught.value)


def test_a_misspelt_required_key_is_called_misspelt(folder: Path) -> None:
    (folder / "plan.yaml").write_text("nane: quick\nspecification: specs/truthful.yaml")
    with pytest.raises(PlanError, match=r"Unknown key `nane`.*`name`"):
        load_plan(folder / "plan.yaml")


def test_a_missing_key_and_a_bad_name_are_named(folder: Path) -> None:
    (folder / "plan.yaml").write_text("specification: specs/truthful.yaml")
    with pytest.raises(PlanError, match="`name` is missing"):
        load_plan(folder / "plan.yaml")
    with pytest.raises(PlanError, match=r"`name`.*Bad Name.*pattern"):
        load_plan(folder / "plan.yaml", ["name=Bad Name"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("task.test_groups", "task.test_groups=100"),
        ("=3", "dotted key"),
        ("task..x=3", "dotted key"),
        ("task.test_grups=3", "Did you mean `test_groups`"),
        ("seed.x=3", "`seed` is"),
        ("name.x=3", "`name` is a value"),
        ("task.test_groups=[1", "override 'task.test_groups=\\[1', line 1"),
    ],
)
def test_a_wrong_override_is_named(folder: Path, override: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        load_plan(written(folder, ""), [override])


def test_what_can_not_be_read_is_an_input_error(folder: Path) -> None:
    (folder / "binary.yaml").write_bytes(b"\x80\x81\xff\x00")
    (folder / "control.yaml").write_bytes(b"name: \x00")
    (folder / "list.yaml").write_text("- name")
    (folder / "empty.yaml").write_text("")
    for name, said in [
        ("missing.yaml", "no plan"),
        ("specs", "folder"),
        ("binary.yaml", "not a text file"),
        ("control.yaml", "can't be read"),
        ("list.yaml", "mapping"),
        ("empty.yaml", "mapping"),
        ("empty.yaml/below", "can't be read"),
    ]:
        with pytest.raises(InputError, match=said) as caught:
            load_plan(folder / name)
        assert str(folder / name) in str(caught.value) and caught.value.fix


def test_faults_of_the_specification_name_its_file(folder: Path) -> None:
    path = written(folder, "")
    with pytest.raises(InputError, match=r"no specification here.*elsewhere.yaml"):
        load_plan(path, ["specification=elsewhere.yaml"])
    broken = {**SPECIFICATION, "clauses": [{**SPECIFICATION["clauses"][0], "test_by": 1}]}  # type: ignore[dict-item]
    (folder / "specs" / "truthful.yaml").write_text(yaml.safe_dump(broken))
    with pytest.raises(PlanError, match=r"`clauses.0.test_by`.*truthful.yaml.*`tested_by`"):
        load_plan(path)
    (folder / "specs" / "truthful.yaml").write_text(yaml.safe_dump({**SPECIFICATION, "summary": " "}))
    with pytest.raises(PlanError, match=r"`summary`.*must not be empty"):
        load_plan(path)


def test_the_reference_covers_every_key_with_a_description() -> None:
    fields = {field.key: field for field in plan_fields()}
    assert fields["generalize.training.learning_rate"].default == "0.003"
    assert fields["validate.detectors"].type == "list of text"
    assert fields["validate.detectors"].default == '["consistency", "knowledge"]'
    assert fields["criteria.pgr_low_at_least"].type == "number or null"
    assert fields["name"].default == "required"
    assert fields["task"].type == "section" and fields["task"].description.startswith("Which questions")
    assert fields["specification.clauses[].tested_by[].require"].type.startswith('"true-answer" or')
    own = [field for key, field in fields.items() if not key.startswith("specification.")]
    assert all(field.description for field in own)
