"""The pages say what is so: links lead somewhere, commands and plan keys exist, examples work, lists are complete."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from superalign.cli.app import app
from superalign.contracts import errors, registry
from superalign.contracts.records import Specification
from superalign.runs.plan import Plan, plan_fields
from superalign.testing import conformance

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/**/*.md"))
WRITTEN = [page for page in PAGES if page.parent.name != "reference"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
SECTIONS = {field.key for field in plan_fields() if field.type == "section"}
KEYS = {field.key for field in plan_fields()}

each_page = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())


def fences(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def spans(page: Path) -> list[str]:
    """Inline code, outside of fenced blocks."""
    return CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


def commands(page: Path) -> Iterator[str]:
    """Every `superalign ...` that a reader may type."""
    lines = [line for block in fences(page, "sh") for line in block.splitlines()]
    for text in [*lines, *spans(page)]:
        if found := re.match(r"(?:\S*/)?superalign (.+)", text):
            yield found[1].split(" | ")[0]


def slugs(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not heading or heading in slugs(there), f"{page.name} links to {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = (target.partition("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8")))
        waiting += [(page.parent / link).resolve() for link in links if link and ":" not in link]
    assert reached >= {page.resolve() for page in PAGES}


@each_page
def test_commands_and_their_options_exist(page: Path) -> None:
    for text in commands(page):
        arguments = shlex.split(text, comments=True)
        command: Any = typer.main.get_command(app)
        while arguments and hasattr(command, "commands"):
            name = arguments.pop(0)
            if name.startswith("-"):
                break
            assert name in command.commands, f"{page.name}: superalign {text}"
            command = command.commands[name]
        if hasattr(command, "commands") or not arguments:
            continue  # named, not spelt out
        try:
            context = command.make_context(command.name, arguments)
        except typer.TyperException as error:
            pytest.fail(f"{page.name}: superalign {text}: {error}")
        for setting in context.params.get("settings") or ():
            assert setting.partition("=")[0] in KEYS, f"{page.name}: --set {setting}"
        plan = Path(str(context.params.get("plan") or ""))
        assert plan.suffix != ".yaml" or (ROOT / plan).is_file(), f"{page.name}: superalign {text}"


@each_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for text in [*(line for block in fences(page, "sh") for line in block.splitlines()), *spans(page)]:
        if found := re.match(r"make ([a-z]+)", text):
            assert found[1] in targets, f"{page.name}: {text}"


@each_page
def test_plan_keys_exist(page: Path) -> None:
    for text in spans(page):
        key = text.partition("=")[0]
        is_key = re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", key) and key.partition(".")[0] in SECTIONS
        if is_key and not key.endswith((".py", ".md", ".yaml")):
            assert key in KEYS, f"{page.name}: {key}"


@each_page
def test_yaml_examples_are_plans_or_specifications(page: Path) -> None:
    for block in fences(page, "yaml"):
        content = yaml.safe_load(block)
        if "clauses" in content:
            Specification.model_validate(content)
            continue
        specification = yaml.safe_load((ROOT / "specs" / "truthful.yaml").read_text(encoding="utf-8"))
        Plan.model_validate(content | {"specification": specification})


@each_page
def test_files_of_the_package_that_are_named_exist(page: Path) -> None:
    for text in spans(page):
        if re.fullmatch(r"([a-z_]+/)+([a-z_]+\.py)?", text):
            places = (ROOT / text, ROOT / "src" / "superalign" / text)
            assert any(place.exists() for place in places), f"{page.name}: {text}"


@each_page
def test_no_page_names_a_place_on_somebodys_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = re.search(r"(?<![\w.}:])(/(work|tmp|root|home|mnt|Users|var|opt)/\S*|[A-Z]:\\\S*)", text)
    assert not found, f"{page.name}: {found and found[0]}"


def test_every_error_has_its_section() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    classes = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SuperalignError)
    ]
    assert {kind.__name__ for kind in classes} == set(re.findall(r"^#+ (\w+Error|UnknownName)$", page, re.MULTILINE))
    for kind in classes:
        section = page.split(f"# {kind.__name__}\n")[1].split("\n## ")[0]
        codes = re.findall(r"Exit code (\d)", section)
        assert codes[:1] in ([], [str(kind.exit_code)]), kind.__name__


def test_the_papers_are_those_that_the_code_cites() -> None:
    cited = {
        number
        for folder in ("src", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for number in re.findall(r"arXiv[: ]+(\d{4}\.\d{4,5})", path.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    assert cited == set(re.findall(r"arXiv (\d{4}\.\d{4,5})", page))


def test_the_checks_of_the_conformance_suite_are_listed() -> None:
    page = ROOT / "docs" / "extending.md"
    named = {text for text in spans(page) if text.startswith("check_")}
    kinds = {f"check_{kind.removesuffix('s')}" for kind in registry.REGISTRIES}
    assert named >= kinds and all(callable(getattr(conformance, name)) for name in named)


def test_the_example_detector_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly as printed, and under its printed name; our registry is left as it was."""
    source = next(block for block in fences(ROOT / "docs" / "extending.md", "python") if "register" in block)
    path = tmp_path / "agreeable.py"
    path.write_text(source, encoding="utf-8")
    registry.detectors.names()
    monkeypatch.setattr(registry.detectors, "_factories", dict(registry.detectors._factories))
    spec = importlib.util.spec_from_file_location("agreeable_of_the_docs", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    conformance.check_detector(lambda: registry.detectors.make("agreeable"))
