"""`superalign view` in a real browser: by keys alone, nothing sent elsewhere, no breach of the pages' policy."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from superalign.provenance.ledger import read
from superalign.web.listening import listen
from superalign.web.view.app import view
from superalign.web.view.guard import Secrets

from ..report.browser import find_browser
from .viewed import ATTACK, DONE, RESEARCH, MemoryQueue, items, write_research, write_run

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
KEYS = Secrets()
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PAGES = (
    "/", f"/runs/{DONE}", f"/runs/{DONE}/trial", f"/runs/{DONE}/trial/subject-1", f"/runs/{DONE}/ledger",
    f"/runs/{DONE}/logs/workers.log", f"/runs/{RESEARCH}/research",
    "/queue", "/queue/14", "/queue/15",
    "/help", "/nothing",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = find_browser()
    if not found:
        message = "the pages are looked at in a browser: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Runs, research and a queue, with hostile words wherever others write, on a port of this machine."""
    write_run(tmp_path, DONE, words=ATTACK)
    write_research(tmp_path, words=ATTACK + "long" * 100)
    queue = MemoryQueue(items(ATTACK), tmp_path / DONE / "ledger.db")
    listening = listen("127.0.0.1", 0)
    app = view(tmp_path, queue, KEYS, host="127.0.0.1", reviewer="ada")
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that is signed in; at the end, nothing must have gone elsewhere, run or been refused by the policy."""
    context = browser.new_context(viewport=DESK, base_url=address)
    page = context.new_page()
    elsewhere: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(address) else elsewhere.append(request.url))
    page.on("console", lambda message: faults.append(message.text) if "404" not in message.text else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    page.goto(f"/login?token={KEYS.token}")
    yield page
    context.close()
    assert elsewhere == [] and faults == []


def test_an_item_is_approved_by_keys_and_stands_in_the_ledger(page: Page, tmp_path: Path) -> None:
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{DONE}")
    page.keyboard.press("u")
    page.wait_for_url("**/")
    page.goto("/queue")
    page.keyboard.press("?")
    assert page.locator("dialog#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/queue/14")
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")  # after Esc nothing is sent
    page.keyboard.press("a")
    page.keyboard.type("read all of it: a j k r q ?")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/queue?decided=14")
    assert "approved" in page.locator(".told").inner_text() and page.locator("[data-item]").count() == 2
    (entry,) = read(tmp_path / DONE / "ledger.db", "review")
    assert entry.body["verdict"] == "approve" and entry.body["reason"] == "read all of it: a j k r q ?"
    page.goto(f"/runs/{DONE}/ledger")
    assert "read all of it" in page.locator("#entry-8").inner_text()


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
def test_every_page_fits_and_what_is_focused_is_seen(page: Page, size: dict[str, int], scheme: str) -> None:
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], path
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(22, 24, 28)" if scheme == "dark" else "rgb(253, 252, 250)")
        page.keyboard.press("j")
        if page.locator("[data-item]").count():
            seen = "e => [e, e.closest('[data-item]')].some(s => getComputedStyle(s).outlineStyle === 'solid')"
            assert page.evaluate(f"({seen})(document.activeElement)"), path
    page.goto(f"/runs/{DONE}/report")  # in its sandbox


def test_without_scripts_the_forms_decide(browser: Browser, address: str, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=address)
    page = context.new_page()
    page.goto("/queue")
    page.get_by_label("Token").fill(KEYS.token)
    page.get_by_role("button", name="Sign in").click()
    page.goto("/queue/16")
    page.get_by_label("Reason").fill("never needed before")
    page.get_by_role("button", name="Reject").click()
    assert "rejected" in page.locator(".told").inner_text()
    page.goto(f"/runs/{RESEARCH}/research")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Stop").click()
    assert "asked to stop" in page.locator("main").inner_text() and (tmp_path / RESEARCH / "stop").exists()
    context.close()
