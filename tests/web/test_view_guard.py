"""Who gets to see a page of `superalign view`, and whose decisions are taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from superalign.web.view.app import view
from superalign.web.view.guard import BODY_BYTES, HEADERS, Secrets, allowed_host

from .viewed import DONE, RESEARCH, MemoryQueue, items, write_research, write_run

ORIGIN = "http://127.0.0.1:8080"
KEYS = Secrets()
PAGES = (
    "/",
    "/queue",
    "/queue/14",
    f"/runs/{DONE}",
    f"/runs/{DONE}/report",
    f"/runs/{DONE}/ledger",
    "/help",
    "/nothing",
)


@pytest.fixture
def queue(tmp_path: Path) -> MemoryQueue:
    write_run(tmp_path, DONE)
    write_research(tmp_path)
    return MemoryQueue(items(), tmp_path / DONE / "ledger.db")


@pytest.fixture
def stranger(tmp_path: Path, queue: MemoryQueue) -> Iterator[TestClient]:
    app = view(tmp_path, queue, KEYS, host="127.0.0.1", reviewer="ada")
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    assert stranger.get(f"/login?token={KEYS.token}").status_code == 303
    return stranger


def approval(**fields: str) -> dict[str, str]:
    return {"csrf": KEYS.csrf, "verdict": "approve", "reason": "read it", **fields}


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_sees_nothing(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert "proposal" not in answer.text and DONE not in answer.text and KEYS.csrf not in answer.text


# Ids of their own: secrets differ in every process, and parallel workers must agree on the tests' names.
@pytest.mark.parametrize(
    "token",
    ["", "x", KEYS.token[:-1], KEYS.token + "x", KEYS.csrf, "\udcff"],
    ids=["none", "other", "shorter", "longer", "the form's", "no text"],
)
def test_another_token_does_not_open(stranger: TestClient, token: str) -> None:
    answer = stranger.post(
        "/login", data={"token": token.encode(errors="surrogatepass").hex() if "\udcff" in token else token}
    )
    assert answer.status_code == 401 and not answer.cookies


def test_the_cookie_is_out_of_the_reach_of_scripts_and_other_sites_and_is_not_the_token(stranger: TestClient) -> None:
    answer = stranger.post("/login", data={"token": KEYS.token})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and KEYS.token not in cookie
    assert stranger.get("/").status_code == 200


def test_a_made_up_cookie_does_not_open(stranger: TestClient) -> None:
    stranger.cookies.set(KEYS.cookie_name, KEYS.token)
    assert stranger.get("/").status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "192.168.1.9:8080", "", "[::1"]
)
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 400 and DONE not in answer.text


@pytest.mark.parametrize(
    ("header", "listening", "allowed"),
    [
        ("localhost:8080", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("[::1]:8080", "127.0.0.1", True),
        ("127.0.0.1:9", "127.0.0.1", True),  # through a tunnel that begins at another port
        ("localhost.evil.example:8080", "localhost", False),
        ("10.0.0.7:8080", "127.0.0.1", False),
        ("10.0.0.7:8080", "0.0.0.0", True),  # rebinding needs a name
        ("lab.example:8080", "lab.example", True),
        ("evil.example:8080", "0.0.0.0", False),
        ("evil.example", "lab.example", False),
    ],
)
def test_names_that_a_server_goes_by(header: str, listening: str, allowed: bool) -> None:
    assert allowed_host(header, listening) is allowed


@pytest.mark.parametrize("path", ["/queue/14", f"/runs/{RESEARCH}/stop"])
@pytest.mark.parametrize("csrf", ["", "x", KEYS.token, KEYS.cookie], ids=["none", "other", "token", "cookie"])
def test_a_form_without_our_secret_decides_nothing(
    client: TestClient, queue: MemoryQueue, tmp_path: Path, path: str, csrf: str
) -> None:
    assert client.post(path, data=approval(csrf=csrf, confirm="stop")).status_code == 403
    assert not queue.decisions and not (tmp_path / RESEARCH / "stop").exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8080"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_site_decides_nothing(
    client: TestClient, queue: MemoryQueue, headers: dict[str, str]
) -> None:
    assert client.post("/queue/14", data=approval(), headers=headers).status_code == 403
    assert not queue.decisions


def test_our_own_form_decides(client: TestClient, queue: MemoryQueue) -> None:
    own = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/queue/14", data=approval(), headers=own).status_code == 303
    assert [decision.verdict for decision in queue.decisions] == ["approve"]


def test_forms_of_other_kinds_and_sizes_are_refused(client: TestClient, queue: MemoryQueue) -> None:
    assert client.post("/queue/14", json=approval()).status_code == 415
    assert client.post("/queue/14", files={"csrf": ("", KEYS.csrf)}).status_code == 415
    assert client.post("/queue/14", data=approval(reason="x" * BODY_BYTES)).status_code == 413
    assert client.post("/queue/14", data={**approval(), **{f"f{i}": "x" for i in range(30)}}).status_code == 400
    assert client.get("/?page=" + "1" * 3000).status_code == 414
    assert client.put("/queue/14").status_code == 405
    assert not queue.decisions


@pytest.mark.parametrize("path", [*PAGES, "/login", "/static/view.js", "/static/view.css"])
def test_every_answer_has_a_strict_policy(client: TestClient, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy and "script-src 'unsafe" not in policy and "*" not in policy
    for name in HEADERS:
        assert name in answer.headers
    if path.endswith("/report"):
        assert "script-src" not in policy and "sandbox" in policy and "allow-" not in policy
    elif answer.headers["content-type"].startswith("text/html"):
        assert "<script>" not in answer.text and " style=" not in answer.text and " onclick" not in answer.text


def test_the_token_is_on_no_page_and_in_no_log(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        pages = [client.get(path).text for path in PAGES] + [client.get("/login?token=x").text]
    assert all(KEYS.token not in page and KEYS.cookie not in page for page in pages)
    assert KEYS.token not in "".join(record.getMessage() for record in caplog.records if record.name != "httpx")
