"""A program is heard through its pipe alone, keeps to its limits, and is gone when it is over."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from superalign.contracts.control import MEBIBYTE, Limits
from superalign.contracts.errors import InputError, SandboxError
from superalign.contracts.records import Unscored
from superalign.control import confinement
from superalign.control.confinement import ENVIRONMENT
from superalign.control.sandbox import SAID_BYTES, Ran, Sandbox

LIMITS = Limits(
    seconds=60, cpu_seconds=30, memory_bytes=256 * MEBIBYTE, threads=4, disk_bytes=MEBIBYTE, answer_bytes=4096
)
ANSWER = "import os, sys, json\ndef answer(data): os.write(int(os.environ['ANSWER_FD']), data)\n"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(source: str) -> Path:
        path = tmp_path / "program.py"
        path.write_text(ANSWER + textwrap.dedent(source))
        return path

    return written


def said_why(outcome: Ran | Unscored) -> str:
    assert isinstance(outcome, Unscored), outcome
    return outcome.reason


def test_the_answer_is_what_comes_through_the_pipe(sandbox: Sandbox, write: Write, tmp_path: Path) -> None:
    (tmp_path / "numbers").write_bytes(b"1 2 3")
    program = write("""
        print("this is no data\\x1b[31m\\u202e")
        answer(open("/data/numbers", "rb").read() + sys.argv[1].encode())
    """)
    ran = sandbox.run(program, ["more"], {"numbers": tmp_path / "numbers"}, LIMITS)
    assert isinstance(ran, Ran), ran
    assert ran.answer == b"1 2 3more"
    assert ran.said == "this is no data\\x1b[31m\\u202e\n"
    assert ran.seconds > 0


def test_it_sees_an_empty_environment_and_a_small_machine(
    sandbox: Sandbox, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    ran = sandbox.run(write("""
        answer(json.dumps({
            "environment": sorted(os.environ), "dev": sorted(os.listdir("/dev")),
            "scratch": os.listdir("/scratch"), "folder": os.getcwd(), "name": os.uname().nodename,
            "exists": [path for path in ("/proc", "/sys", "/root", "/home", "/tmp", "/bin/sh", "/usr/bin",
                                        "/etc/passwd")
                       if os.path.exists(path)],
        }).encode())
    """), limits=LIMITS)  # fmt: skip
    assert isinstance(ran, Ran), ran
    seen = json.loads(ran.answer)
    assert set(seen["environment"]) <= {*ENVIRONMENT, "ANSWER_FD", "PWD", "LC_CTYPE"}
    assert seen["dev"] == ["null", "urandom", "zero"]
    assert (seen["scratch"], seen["folder"], seen["name"], seen["exists"]) == ([], "/scratch", "sandbox", [])


def test_scratch_is_empty_each_time(sandbox: Sandbox, write: Write) -> None:
    program = write("""
        answer(json.dumps(os.listdir("/scratch")).encode())
        open("/scratch/left", "w").write("for the next one")
    """)
    for _ in range(2):
        ran = sandbox.run(program, limits=LIMITS)
        assert isinstance(ran, Ran) and ran.answer == b"[]"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise ValueError('no such luck')", "it crashed: ValueError: no such luck"),
        ("def (", "it crashed: SyntaxError"),
        ("sys.exit(3)", "it crashed: exit code 3"),
        ("pass", "it ended without an answer"),
        ("answer(b'x' * 5000)", "its answer is longer than 4096 bytes"),
        ("x = bytearray(300 * 2**20)", "it needed more memory than it may have"),
        ("import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)", "it was killed for a forbidden system call"),
        ("os.fork()", "it crashed: PermissionError"),
        ("open('/scratch/x', 'wb').write(bytes(2**21))", "it crashed: OSError"),
        ("open('/data/x', 'w')", "it crashed: "),
        ("os.kill(os.getpid(), 9)", "it was killed, most likely for its memory"),
        ("import superalign", "it crashed: ModuleNotFoundError"),
        ("import numpy", "it crashed: ModuleNotFoundError"),
        ("import pip", "it crashed: ModuleNotFoundError"),
    ],
)
def test_every_failure_is_unscored_with_its_reason(sandbox: Sandbox, write: Write, source: str, why: str) -> None:
    assert said_why(sandbox.run(write(source), limits=LIMITS)).startswith(why)


def test_processor_time_is_limited_whatever_the_program_does(sandbox: Sandbox, write: Write) -> None:
    program = write("import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass")
    why = said_why(sandbox.run(program, limits=LIMITS.model_copy(update={"cpu_seconds": 1})))
    assert "processor time" in why


def test_the_parents_clock_ends_it_and_nothing_is_left(sandbox: Sandbox, write: Write) -> None:
    program = write("""
        import signal, threading, time
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        for _ in range(2): threading.Thread(target=time.sleep, args=(600,)).start()
        answer(b"too early")
        time.sleep(600)
    """)
    marker = f"superalign-test-{os.getpid()}"
    outcome = sandbox.run(program, [marker], limits=LIMITS.model_copy(update={"seconds": 1.0}))
    assert said_why(outcome) == "it did not end in time"
    assert gone(marker)


def test_it_dies_with_its_parent(sandbox: Sandbox, write: Write) -> None:
    program = write("import time; answer(b'x'); time.sleep(600)")
    marker = f"superalign-orphan-{os.getpid()}"
    source = f"""
from pathlib import Path
from superalign.contracts.control import Limits
from superalign.control.sandbox import Sandbox
Sandbox(packages=()).confine(Path({str(program)!r}), [{marker!r}], {{}}, Limits(seconds=500))
"""
    parent = subprocess.Popen([sys.executable, "-c", source])
    try:
        assert until(lambda: "/python/bin/python" in running(marker).values())
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert gone(marker)


def test_one_whose_parent_is_gone_does_not_begin(write: Write, tmp_path: Path) -> None:
    """Bubblewrap may have missed that its parent died; the launcher looks whether anyone still reads the answer."""
    reading, writing = os.pipe()
    os.close(reading)
    begun = tmp_path / "begun"
    program = write(f"open({str(begun)!r}, 'w')")
    launch = Path(confinement.__file__).with_name("inside") / "launch.py"
    orders = json.dumps({"limits": {}, "landlock": False, "path": []})
    for descriptor, expected in ((writing, False), (1, True)):
        command = [sys.executable, "-I", str(launch), orders, str(program)]
        environment = {"ANSWER_FD": str(descriptor)}
        subprocess.run(command, env=environment, pass_fds=[writing], capture_output=True, check=True)
        assert begun.exists() == expected
    os.close(writing)


def test_threads_up_to_the_limit_work_and_no_more(sandbox: Sandbox, write: Write) -> None:
    program = write("""
        import threading
        release, started = threading.Event(), []
        try:
            for _ in range(50):
                thread = threading.Thread(target=release.wait); thread.start(); started.append(thread)
        except RuntimeError: pass
        release.set()
        answer(str(len(started) + 1).encode())
    """)
    ran = sandbox.run(program, limits=LIMITS)
    assert isinstance(ran, Ran) and int(ran.answer) == LIMITS.threads


def test_what_it_prints_is_cut_and_can_not_fill_our_memory(sandbox: Sandbox, write: Write) -> None:
    ran = sandbox.run(write("answer(b'x')\nfor i in range(20_000): print('y' * 200)\nprint('the end')"), limits=LIMITS)
    assert isinstance(ran, Ran)
    assert len(ran.said) <= SAID_BYTES and ran.said.endswith("the end\n")


def test_several_sandboxes_at_once_do_not_share_a_limit(sandbox: Sandbox, write: Write) -> None:
    from concurrent.futures import ThreadPoolExecutor

    program = write("import time; time.sleep(0.5); answer(b'x')")
    tight = LIMITS.model_copy(update={"threads": 1})
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda _: sandbox.run(program, limits=tight), range(6)))
    assert all(isinstance(outcome, Ran) for outcome in outcomes), outcomes


def test_science_works_inside(sandbox: Sandbox, write: Write, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 4)))
    program = write("""
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from scipy.special import expit
        x = np.load("/data/x.npy")
        scores = LogisticRegression().fit(x, x[:, 0] > 0).decision_function(x)
        answer(expit(scores).astype("<f8").tobytes())
    """)
    ran = Sandbox(Limits()).run(program, readable={"x.npy": tmp_path / "x.npy"})
    assert isinstance(ran, Ran), ran
    answer = np.frombuffer(ran.answer, "<f8")
    truth = np.load(tmp_path / "x.npy")[:, 0] > 0
    assert answer.shape == (60,) and ((answer > 0.5) == truth).mean() > 0.9


def test_what_can_not_be_shown_is_refused_before_it_runs(sandbox: Sandbox, write: Write, tmp_path: Path) -> None:
    program = write("answer(b'x')")
    with pytest.raises(InputError, match="can't be shown"):
        sandbox.run(tmp_path / "missing.py")
    for name in ("../x", "", ".hidden", "a/b", "a\nb"):
        with pytest.raises(InputError, match="name"):
            sandbox.run(program, readable={name: program})
    with pytest.raises(InputError, match="not installed"):
        Sandbox(packages=["no_such_package_anywhere"]).confine(program, (), {}, LIMITS)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_roots_private_files_are_not_shown(sandbox: Sandbox, write: Write, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.write_text("x")
    private.chmod(0o600)
    with pytest.raises(InputError, match="can't read it"):
        sandbox.run(write("answer(b'x')"), readable={"private": private})


def test_without_bubblewrap_nothing_runs(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    proof = tmp_path / "ran"
    with pytest.raises(SandboxError, match="no bubblewrap") as refused:
        Fresh(packages=()).run(write(f"open({str(proof)!r}, 'w')"))
    assert refused.value.fix and "pip install" in refused.value.fix
    assert not proof.exists()


def test_where_bubblewrap_may_do_nothing_nothing_runs(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine without user namespaces: bubblewrap is there, and fails."""
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(confinement, "bubblewrap", lambda: broken)
    with pytest.raises(SandboxError, match="No permissions to create new namespace"):
        Fresh(packages=()).run(write("answer(b'x')"))


def test_there_is_no_sandbox_but_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="darwin"):
        confinement.bubblewrap()


class Fresh(Sandbox):
    """Not tested in this process yet."""


def running(marker: str) -> dict[str, str]:
    """Processes of this machine with the marker among their arguments, and what they execute."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if marker.encode() in words:
            found[process.name] = words[0].decode()
    return found


def until(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(marker: str) -> bool:
    return until(lambda: not running(marker))


def test_the_example_of_the_documentation_works(sandbox: Sandbox) -> None:
    page = (Path(__file__).parents[2] / "docs" / "concepts" / "sandbox.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("answer=b'45'")
