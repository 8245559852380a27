"""What the pages of `superalign view` show of runs, research and the queue: what is open, nothing sealed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from superalign.contracts.review import ResearchProgress, ReviewItem, ReviewQueue
from superalign.control.approval import ReviewQueue as QueueOnDisk
from superalign.provenance.ledger import Ledger, read
from superalign.runs.disk import FolderLock
from superalign.web.view.app import view
from superalign.web.view.guard import Secrets

from .viewed import ATTACK, DONE, RESEARCH, SEALED, MemoryQueue, items, progress, write_research, write_run

KEYS = Secrets()
Browse = Callable[..., TestClient]


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Browse]:
    """Makes a signed-in client for the runs in `tmp_path`."""
    made: list[TestClient] = []

    def browse(queue: ReviewQueue | None = None) -> TestClient:
        app = view(tmp_path, queue, KEYS, host="127.0.0.1", reviewer="ada")
        client = TestClient(app, base_url="http://127.0.0.1:8080")
        client.get(f"/login?token={KEYS.token}")
        made.append(client)
        return client

    yield browse
    for client in made:
        client.close()


def all_pages(client: TestClient, name: str) -> dict[str, str]:
    """Every page of a run that its own pages lead to, by its address."""
    found: dict[str, str] = {}
    waiting = [f"/runs/{name}"]
    while waiting:
        address = waiting.pop()
        if address in found:
            continue
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.text)
        found[address] = answer.text
        if not address.endswith("/report"):
            waiting += [
                link for link in re.findall(r'href="([^"#?]+)"', answer.text) if link.startswith(f"/runs/{name}")
            ]
    return found


def test_the_list_tells_how_each_run_stands(tmp_path: Path, browse: Browse) -> None:
    write_run(tmp_path, DONE)
    write_run(tmp_path, SEALED, opened=False)
    write_run(tmp_path, "2026-11-20-failed-1", opened=False).joinpath("failure.txt").write_text("RunError: full")
    write_run(tmp_path, "2026-11-20-killed-1", opened=False).joinpath(".lock").write_text("1")
    write_research(tmp_path)
    working = FolderLock(write_run(tmp_path, "2026-11-20-working-1", opened=False))
    page = browse().get("/").text
    states = re.findall(r'one_line|href="/runs/([^"/]+)">.*?class="badge \w*">([^<]+)<', page, re.DOTALL)
    assert dict(states) == {
        DONE: "done",
        SEALED: "stopped",
        "2026-11-20-failed-1": "failed",
        "2026-11-20-killed-1": "killed",
        "2026-11-20-working-1": "running",
        RESEARCH: "waiting for review",
    }
    assert "undetermined" in page  # the decision of the one that has one
    working.release()
    assert "running" not in browse().get("/").text


def test_a_run_shows_plan_steps_logs_and_a_ledger_that_verifies(tmp_path: Path, browse: Browse) -> None:
    write_run(tmp_path, DONE)
    pages = all_pages(browse(), DONE)
    page = pages[f"/runs/{DONE}"]
    for words in (
        "entries, verified",
        "consistency on subject-1",
        "3.2\xa0s",
        "workers.log",
        "specification:",
        "undetermined",
    ):
        assert words in page
    assert "opened the model" in pages[f"/runs/{DONE}/logs/workers.log"]
    assert "conditional-lying organism" in pages[f"/runs/{DONE}/trial/subject-1"]
    assert "Is Lyon in France?" in pages[f"/runs/{DONE}/trial/subject-1"]
    assert len(pages) == 9  # run, report, trial, four subjects, ledger, log


def test_a_changed_ledger_is_told(tmp_path: Path, browse: Browse) -> None:
    import sqlite3

    folder = write_run(tmp_path, DONE)
    with sqlite3.connect(folder / "ledger.db") as database:
        database.execute("UPDATE entries SET entry = replace(entry, 'oversee', 'OVERSEE') WHERE seq = 0")
    database.close()
    page = browse().get(f"/runs/{DONE}").text
    assert "does not verify" in page and "Entry 0 of the ledger was changed" in page
    assert "What is below can't be trusted" in browse().get(f"/runs/{DONE}/ledger").text


def test_nothing_of_a_sealed_trial_but_its_verdicts_is_shown(tmp_path: Path, browse: Browse) -> None:
    folder = write_run(tmp_path, SEALED, opened=False)
    client = browse()
    pages = all_pages(client, SEALED)
    assert len(pages) == 8
    assert "0.618" in pages[f"/runs/{SEALED}/trial"]
    opening = (folder / "seal.json").read_text()
    salt = re.search(r'"salt":"(\w+)"', opening)
    assert salt
    for address, page in pages.items():
        for hidden in ("conditional-lying", "password-lock", "organism", " twin", salt[1]):
            assert hidden not in page.split("<summary>The resolved plan")[0], (address, hidden)
    for path in ("seal.json", "ledger.key", "logs/../seal.json", "logs/..%2fseal.json", "logs/%2e%2e%2fledger.key"):
        assert client.get(f"/runs/{SEALED}/{path}").status_code == 404, path


def test_a_summary_that_runs_ahead_of_the_seal_is_not_shown(tmp_path: Path, browse: Browse) -> None:
    """Whoever puts a summary beside a sealed trial does not get its labels onto a page."""
    done, sealed = write_run(tmp_path, DONE), write_run(tmp_path, SEALED, opened=False)
    for name in ("summary.json", "report.html"):
        (sealed / name).write_bytes((done / name).read_bytes())
    client = browse()
    page = client.get(f"/runs/{SEALED}").text
    assert "did not open" in page and "planted families caught" not in page
    assert client.get(f"/runs/{SEALED}/report").status_code == 404
    assert "organism" not in client.get(f"/runs/{SEALED}/trial/subject-1").text


def test_an_opening_of_another_seal_opens_nothing(tmp_path: Path, browse: Browse) -> None:
    other = write_run(tmp_path, DONE)
    sealed = write_run(tmp_path, SEALED, opened=False)
    with Ledger(sealed / "ledger.db") as ledger:
        ledger.append("unseal", read(other / "ledger.db", "unseal")[0].body)
    page = browse().get(f"/runs/{SEALED}/trial").text
    assert "not what was sealed" in page and "organism" not in page


def test_hostile_text_is_shown_as_text(tmp_path: Path, browse: Browse) -> None:
    write_run(tmp_path, DONE, words=ATTACK)
    write_research(tmp_path, words=ATTACK)
    queue = MemoryQueue(items(ATTACK), tmp_path / DONE / "ledger.db")
    client = browse(queue)
    client.post("/queue/16", data={"csrf": KEYS.csrf, "verdict": "reject", "reason": ATTACK})
    pages = all_pages(client, DONE) | all_pages(client, RESEARCH)
    pages |= {path: client.get(path).text for path in ("/", "/queue", "/queue/14", "/queue/16", "/queue?decided=14")}
    for address, page in pages.items():
        if address.endswith("/report"):
            continue
        assert "<script>alert" not in page and "<img" not in page and "49evil" not in page, address
        assert not re.search("[\u202e\u2069\u200b\x1b]", page), address
    shown = pages["/queue/14"]
    assert shown.count("&lt;script&gt;alert(1)") == 5  # title of page, heading, text, monitor's reason, diff
    assert "⟨U+202E⟩evil⟨U+2069⟩␛[31m⟨U+200B⟩" in shown
    assert "⟨U+202E⟩" in pages[f"/runs/{DONE}/trial/subject-1"]


@pytest.mark.parametrize(
    "path",
    [
        "/runs/%2e%2e%2f", "/runs/..%2f..%2fetc", "/runs/.", "/runs/%2Fetc", "/runs/nothing", "/runs/%00",
        f"/runs/{DONE}/logs/%2e%2e%2fplan.yaml", f"/runs/{DONE}/logs/nothing",
        f"/runs/{DONE}/logs/link.log", f"/runs/{DONE}/trial/subject-999", f"/runs/{DONE}/trial/..%2fx", "/runs/linked",
        "/static/..%2fapp.py", "/static/app.py", "/static/%2e%2e/app.py", "/queue/999", "/queue?decided=999",
    ],
)  # fmt: skip
def test_what_is_not_listed_is_not_opened(tmp_path: Path, browse: Browse, path: str) -> None:
    root = tmp_path
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    write_run(outside, DONE)
    folder = write_run(root, DONE)
    (root / "linked").symlink_to(outside / DONE)
    (folder / "logs" / "link.log").symlink_to("/etc/passwd")
    answer = browse(MemoryQueue(items(), folder / "ledger.db")).get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text and "def view" not in answer.text and "Traceback" not in answer.text


@pytest.mark.parametrize(
    "name", ["manifest.json", "summary.json", "plan.yaml", "ledger.db", "report.html", "research.json"]
)
@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"format": 99}', b"\xff\x00garbage", b"[" * 100_000, None, "link", "pipe"]
)
def test_a_damaged_run_is_told_never_a_crash(
    tmp_path: Path, browse: Browse, name: str, content: bytes | str | None
) -> None:
    folder = write_run(tmp_path, DONE)
    write_research(tmp_path, DONE + "-with")
    (folder / "research.json").write_bytes((tmp_path / (DONE + "-with") / "research.json").read_bytes())
    path = folder / name
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "link":
        path.symlink_to("/etc/passwd")
    elif content == "pipe":
        os.mkfifo(path)
    client = browse()
    assert client.get("/").status_code == 200
    for page in ("", "/trial", "/trial/subject-1", "/ledger", "/report", "/research", "/logs/workers.log"):
        answer = client.get(f"/runs/{DONE}{page}")
        assert answer.status_code in (200, 404, 409), (page, answer.text)
        assert (
            "root:" not in answer.text and "Traceback" not in answer.text and "error in superalign" not in answer.text
        )


def test_what_is_too_large_is_told(tmp_path: Path, browse: Browse) -> None:
    folder = write_run(tmp_path, DONE)
    with (folder / "summary.json").open("r+b") as file:
        file.truncate(200 * 2**20)
    (folder / "logs" / "workers.log").write_text("old\n" + "x" * 300_000 + "\nnew")
    page = browse().get(f"/runs/{DONE}").text
    assert "summary.json has 200 MB" in page
    log = browse().get(f"/runs/{DONE}/logs/workers.log").text
    assert "\nnew" in log and "old\n" not in log and "are left out" in log


def test_research_is_drawn_as_a_tree(tmp_path: Path, browse: Browse) -> None:
    write_research(tmp_path)
    page = browse().get(f"/runs/{RESEARCH}").text  # has no run: leads on to the research
    order = [int(number) for number in re.findall(r'id="proposal-(\d+)"', page)]
    assert order == [0, 2, 4, 5, 6, 7, 8, 3, 9, 1]  # each below its first parent
    assert page.count('class="plot"') == 2 and "it ran longer than 60 s" in page and "0.760" in page


def test_parents_that_make_a_circle_or_are_missing_are_roots(tmp_path: Path, browse: Browse) -> None:
    folder = write_research(tmp_path)
    found = progress("")
    twisted = [one.model_copy(update={"parents": (one.number, 9, 77)}) for one in found.outcomes]
    changed = ResearchProgress.model_validate({**found.model_dump(), "outcomes": [one.model_dump() for one in twisted]})
    (folder / "research.json").write_text(changed.model_dump_json())
    page = browse().get(f"/runs/{RESEARCH}/research").text
    assert len(re.findall(r'id="proposal-\d+"', page)) == 10


def test_research_is_stopped_by_a_confirmed_form_alone(tmp_path: Path, browse: Browse) -> None:
    stop = write_research(tmp_path) / "stop"
    client, form = browse(), {"csrf": KEYS.csrf}
    assert client.get(f"/runs/{RESEARCH}/stop").status_code == 405
    assert client.post(f"/runs/{RESEARCH}/stop", data=form).status_code == 404
    assert not stop.exists()
    page = client.post(f"/runs/{RESEARCH}/stop", data=form | {"confirm": "stop"}).text
    assert stop.read_text() == "ada\n" and "was asked to stop" in page
    write_run(tmp_path, DONE)
    assert client.post(f"/runs/{DONE}/stop", data=form | {"confirm": "stop"}).status_code == 404


@pytest.mark.parametrize(("verdict", "state"), [("approve", "approved"), ("reject", "rejected"), ("ask", "asked")])
def test_a_decision_goes_into_the_ledger_with_its_reason(
    tmp_path: Path, browse: Browse, verdict: str, state: str
) -> None:
    ledger = write_run(tmp_path, DONE) / "ledger.db"
    queue = MemoryQueue(items(), ledger)
    client = browse(queue)
    assert isinstance(queue, ReviewQueue)
    page = client.get("/queue").text
    assert page.index("Evaluate proposal 7") < page.index("Read one page") < page.index("100 more proposals")
    client.get("/queue/14")
    answer = client.post("/queue/14", data={"csrf": KEYS.csrf, "verdict": verdict, "reason": " read it\r\ntwice "})
    assert answer.url.path == "/queue" and state in answer.text
    (entry,) = read(ledger, "review")
    told = entry.body
    assert (told["number"], told["verdict"], told["reason"], told["reviewer"]) == (14, verdict, "read it\ntwice", "ada")
    assert "read it" in client.get("/queue/14").text and "data-decide" not in client.get("/queue/14").text


@pytest.mark.parametrize("form", [{"reason": "  "}, {"verdict": "allow"}, {"verdict": ""}, {"reason": "x" * 4001}])
def test_half_a_decision_decides_nothing_and_keeps_what_was_typed(
    tmp_path: Path, browse: Browse, form: dict[str, str]
) -> None:
    queue = MemoryQueue(items(), write_run(tmp_path, DONE) / "ledger.db")
    sent = {"csrf": KEYS.csrf, "verdict": "approve", "reason": "fine by me"} | form
    answer = browse(queue).post("/queue/14", data=sent)
    assert answer.status_code == 400 and "Nothing was decided" in answer.text and not queue.decisions
    assert f">{sent['reason']}</textarea>" in answer.text


def test_what_was_decided_or_expired_meanwhile_stays_so(tmp_path: Path, browse: Browse) -> None:
    late = items()[1].model_copy(update={"deadline": time.time() - 5})
    queue = MemoryQueue([items()[0], late], write_run(tmp_path, DONE) / "ledger.db")
    client = browse(queue)
    form = {"csrf": KEYS.csrf, "verdict": "approve", "reason": "yes"}
    client.post("/queue/14", data=form)
    again = client.post("/queue/14", data=form | {"verdict": "reject"})
    assert again.status_code == 409 and "not pending any more" in again.text
    assert client.post("/queue/15", data=form).status_code == 409
    assert [decision.verdict for decision in queue.decisions] == ["approve"]


def test_a_long_diff_says_that_there_is_more(tmp_path: Path, browse: Browse) -> None:
    hidden = "import os  # the line that matters"
    diff = "@@ -0,0 +1,901 @@\n" + "+\n" * 900 + f"+{hidden}\n"
    long = items()[0].model_copy(update={"diff": diff, "body": "x" * 50_000})
    client = browse(MemoryQueue([long], write_run(tmp_path, DONE) / "ledger.db"))
    first, last = client.get("/queue/14").text, client.get("/queue/14?page=3").text
    assert "part 1 of 3" in first and hidden not in first and hidden in last and "+901" in first
    assert "30,000 more characters are not shown" in first


def test_many_runs_and_items_come_in_pages(tmp_path: Path, browse: Browse) -> None:
    folder = write_run(tmp_path, DONE)
    for number in range(60):
        other = tmp_path / f"2026-01-01-many-{number:02}"
        other.mkdir()
        (other / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    many = [items()[0].model_copy(update={"number": number}) for number in range(120)]
    client = browse(MemoryQueue(many, folder / "ledger.db"))
    assert client.get("/").text.count("data-item") == 50 and client.get("/?page=2").text.count("data-item") == 11
    assert client.get("/queue?page=3").text.count("data-item") == 20
    assert client.get("/?page=999999").status_code == 200
    assert client.get("/?page=0").status_code == client.get("/?page=x").status_code == 400


def test_the_queue_on_disk_is_decided_from_its_pages(tmp_path: Path, browse: Browse) -> None:
    queue = QueueOnDisk(tmp_path / "reviews.db", minutes=30)
    number = queue.submit("proposal", f"a title {ATTACK}", ATTACK, seconds=600)
    client = browse(QueueOnDisk(tmp_path / "reviews.db"))
    form = {"csrf": KEYS.csrf, "verdict": "approve", "reason": "yes"}
    assert client.post(f"/queue/{number}", data=form).status_code == 409  # nobody has opened it
    shown = client.get(f"/queue/{number}").text
    assert r"\u202eevil" in shown and "\u202e" not in shown and "<script>alert" not in shown
    assert "approved" in client.post(f"/queue/{number}", data=form).text
    assert queue.get(number).state == "approved" and "Nothing waits" in client.get("/queue").text
    assert client.get("/").text.count("data-item") == 0  # the queue is no run


def test_without_a_queue_the_page_says_so(tmp_path: Path, browse: Browse) -> None:
    answer = browse().get("/queue")
    assert answer.status_code == 404 and "no review queue" in answer.text


def test_an_error_of_ours_is_a_page_without_a_traceback(tmp_path: Path, browse: Browse) -> None:
    class Broken(MemoryQueue):
        def pending(self) -> list[ReviewItem]:
            raise ZeroDivisionError("secret detail")

    answer = browse(Broken([], tmp_path / "ledger.db")).get("/queue")
    assert answer.status_code == 500 and "ZeroDivisionError" in answer.text and "secret detail" not in answer.text
