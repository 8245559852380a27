"""The self-test passes here, and notices when any one layer is taken away."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from superalign.contracts.control import Limits
from superalign.contracts.errors import SandboxError
from superalign.control import sandbox as sandbox_module
from superalign.control import self_test
from superalign.control.confinement import View
from superalign.control.sandbox import Sandbox

Edit = Callable[[list[str]], list[str]]


def test_it_holds_here_and_says_how(sandbox: Sandbox) -> None:
    result = sandbox.ready()
    assert result.held and len(result.attempts) >= 13
    assert {"namespaces", "seccomp", "rlimits", "read-only root"} <= set(sandbox.tier.layers)
    assert ("separate user" in sandbox.tier.missing) == (os.geteuid() != 0)
    assert any("Landlock" in layer for layer in (*sandbox.tier.layers, *sandbox.tier.missing))


def test_nothing_tried_is_nothing_held() -> None:
    assert not self_test.SelfTest(attempts=()).held


def without(flag: str, values: int = 0) -> Edit:
    """Take out the last of these flags, which is the inner bubblewrap's."""

    def edit(words: list[str]) -> list[str]:
        at = len(words) - 1 - words[::-1].index(flag)
        return words[:at] + words[at + 1 + values :]

    return edit


def before_the_end(*more: str) -> Edit:
    return lambda words: [*words[:-1], *more, words[-1]]


def shared_processes(words: list[str]) -> list[str]:
    """All namespaces but that of processes."""
    at = len(words) - 1 - words[::-1].index("--unshare-all")
    kinds = ("ipc", "net", "uts", "cgroup")
    return [*words[:at], *(f"--unshare-{kind}" for kind in kinds), *words[at + 1 :]]


def writable_folder(words: list[str]) -> list[str]:
    at = words.index("--size")
    return [*words[:at], "--tmpfs", "/tmp", *words[at:]]


def folder_of_the_host(words: list[str]) -> list[str]:
    """The folder of temporary files, where the canary lies, inside; and at first in root's outer bubblewrap."""
    folder = tempfile.gettempdir()
    words = [folder if word == "/tmp" else word for word in words]
    outer = words.index("--tmpfs")
    if os.geteuid() == 0:
        words = [*words[:outer], "--ro-bind", folder, *words[outer + 1 :]]
    at = words.index("--size")
    return [*words[:at], "--ro-bind", folder, folder, *words[at:]]


LEAKS: dict[str, tuple[Edit, set[str]]] = {
    "processes": (shared_processes, {"see or signal other processes"}),
    "network": (before_the_end("--share-net"), {"share a namespace"}),
    "filter": (
        without("--seccomp", 1),
        {"open a socket", "make a forbidden system call", "start a second process"},
    ),
    "size of the disk": (without("--size", 1), {"fill the disk"}),
    "variables": (before_the_end("--setenv", "SECRET_TOKEN", "hunter2"), {"read the parent's environment"}),
    "another writable folder": (writable_folder, {"write outside of /scratch"}),
    "view": (folder_of_the_host, {"read a file outside"}),
    "read-only root": (without("--remount-ro", 1), {"write outside of /scratch"}),
}


@pytest.mark.parametrize("layer", LEAKS)
def test_it_notices_a_missing_layer(sandbox: Sandbox, layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edit, attempts = LEAKS[layer]
    monkeypatch.setattr(sandbox_module, "landlock_version", lambda: None)  # it would hide what the others let through
    monkeypatch.setattr(self_test, "landlock_version", lambda: None)
    result = self_test.escape(edited(edit))
    assert attempts <= {escape.name for escape in result.escapes}, result


def test_nothing_runs_in_a_sandbox_that_leaks(sandbox: Sandbox, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os; os.write(int(os.environ['ANSWER_FD']), b'x')")
    leaky = edited(LEAKS["variables"][0])
    with pytest.raises(SandboxError, match=r"does not hold.*SECRET_TOKEN"):
        leaky.run(program)


def test_it_notices_missing_limits(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    given = sandbox_module._orders
    monkeypatch.setattr(sandbox_module, "_orders", lambda *asked: given(*asked) | {"limits": {}})
    escapes = {escape.name for escape in self_test.escape(Sandbox(packages=())).escapes}
    assert {"take memory past the limit", "start threads past the limit"} <= escapes


def test_it_notices_a_missing_landlock(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    if sandbox_module.landlock_version() is None:
        pytest.skip("this kernel has no Landlock")
    monkeypatch.setattr(sandbox_module, "landlock_version", lambda: None)
    escapes = {escape.name for escape in self_test.escape(Sandbox(packages=())).escapes}
    assert escapes == {"pass Landlock"}


def test_a_missing_landlock_is_disclosed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "landlock_version", lambda: None)
    assert "Landlock" in sandbox.tier.missing and "no Landlock" in str(sandbox.tier)


def edited(edit: Edit) -> Sandbox:
    class Leaky(Sandbox):
        def command(
            self, seen: View, limits: Limits, seccomp: int, status: int, variables: Mapping[str, str]
        ) -> list[str]:
            return edit(super().command(seen, limits, seccomp, status, variables))

    return Leaky(packages=())
