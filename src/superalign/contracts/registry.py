"""Parts by name. A part registers by decorator, or from another package by entry point (`superalign.detectors` ...)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from pydantic import Field

from superalign.contracts.errors import InputError, UnknownName
from superalign.contracts.records import Record

Factory = TypeVar("Factory", bound=Callable[..., Any])

# Where our own parts live: imported at the first look-up of a kind, so that importing superalign does no work.
OUR_PARTS = {
    "tasks": "superalign.tasks",
    "overseers": "superalign.oversight",
    "detectors": ("superalign.robustness", "superalign.interpretability"),
    "organisms": "superalign.organisms",
    "problems": "superalign.researcher.problems",
    "proposers": "superalign.researcher.proposers",
}


class PartCall(Record):
    """How a part was made: enough for a log to make it again with `Registry.make`."""

    kind: str
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Registry:
    """The parts of one kind, ours and those of installed packages."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., Any]] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[Factory], Factory]:
        """Register a class or factory under `name`; InputError when another part holds it."""

        def keep(factory: Factory) -> Factory:
            if self._factories.setdefault(name, factory) is not factory:
                raise InputError(f"Two {self.kind} are named {name!r}.", fix="Rename one of them.")
            return factory

        return keep

    def names(self) -> list[str]:
        self._load()
        return sorted(self._factories)

    def factory(self, name: str) -> Callable[..., Any]:
        """The class or factory behind `name`; UnknownName with the nearest one otherwise."""
        self._load()
        if name not in self._factories:
            raise UnknownName(self.kind.removesuffix("s"), name, self._factories)
        return self._factories[name]

    def make(self, name: str, /, **arguments: Any) -> Any:
        """An instance of part `name`, with `arguments` captured on it as `part_call`."""
        factory = self.factory(name)
        try:
            inspect.signature(factory).bind(**arguments)
        except TypeError as error:
            raise InputError(
                f"{self.kind.removesuffix('s')} {name!r} can't be made: {error}.",
                fix=f"It takes: {inspect.signature(factory)}.",
            ) from None
        part = factory(**arguments)
        part.part_call = PartCall(kind=self.kind, name=name, arguments=arguments)
        return part

    def describe(self, name: str) -> str:
        """First paragraph of the part's docstring."""
        return (inspect.getdoc(self.factory(name)) or "").split("\n\n")[0].replace("\n", " ")

    def _load(self) -> None:
        if self._loaded:
            return
        packages = OUR_PARTS[self.kind]
        for package in (packages,) if isinstance(packages, str) else packages:
            import_module(package)
        for entry in entry_points(group=f"superalign.{self.kind}"):
            self.register(entry.name)(loaded(entry))
        self._loaded = True


def loaded(entry: EntryPoint) -> Any:
    """What an installed package offers. InputError naming the package when its code can't be imported."""
    try:
        return entry.load()
    except Exception as error:  # importing anybody's code can fail in any way
        package = entry.dist.name if entry.dist else entry.module
        raise InputError(
            f"The installed package {package!r} offers {entry.name!r}, which can't be loaded: "
            f"{type(error).__name__}: {error}.",
            where=entry.value,
            fix=f"Repair it, or uninstall it: pip uninstall {package}.",
        ) from error


tasks = Registry("tasks")
overseers = Registry("overseers")
detectors = Registry("detectors")
organisms = Registry("organisms")
problems = Registry("problems")
proposers = Registry("proposers")
REGISTRIES = {registry.kind: registry for registry in (tasks, overseers, detectors, organisms, problems, proposers)}
