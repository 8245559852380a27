"""The routes of `superalign view`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from superalign.contracts.errors import InputError, SuperalignError
from superalign.contracts.review import ReviewDecision, ReviewItem, ReviewQueue
from superalign.report.steps import steps
from superalign.web.view import diff, research, runs
from superalign.web.view.guard import Guard, Secrets, same
from superalign.web.view.pages import Pages, paged

ROWS, SUBJECTS, ENTRIES, BRANCHES = 50, 30, 100, 100
BODY_CHARACTERS = 20_000  # of an item's text or of an entry's, on one page
LARGEST_PAGE = 1_000_000
STATIC = {  # package, file, type
    "view.css": ("superalign.web.view", "view.css", "text/css"),
    "view.js": ("superalign.web.view", "view.js", "text/javascript"),
    "icon.svg": ("superalign.web.view", "icon.svg", "image/svg+xml"),
    "report.css": ("superalign.report", "style.css", "text/css"),
}
# FastAPI would hand addresses, of which one has the token, to whatever OpenTelemetry is set up in the process.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False,
}  # fmt: skip
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"

PageNumber = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]


def view(root: Path, queue: ReviewQueue | None, keys: Secrets, *, host: str, reviewer: str) -> Guard:
    """The whole application: the runs in `root`, and the queue where there is one, for whoever has the token."""
    pages = Pages(keys.csrf)
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        default_response_class=HTMLResponse,
        telemetry=NO_TELEMETRY,
    )
    _Door(pages, keys).add_to(app)
    _Runs(pages, root, queue, reviewer).add_to(app)
    _Review(pages, queue, reviewer).add_to(app)
    _Faults(pages).add_to(app)

    def refuse(status: int, says: str) -> Response:
        return HTMLResponse(pages.draw("login" if status == 401 else "fault", says=says, waiting=None), status)

    return Guard(app, keys=keys, host=host, refuse=refuse)


class _Door:
    """Signing in, the keys' help, and the files that every page needs."""

    def __init__(self, pages: Pages, keys: Secrets) -> None:
        self._pages, self._keys = pages, keys

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route("/login", self.by_address, methods=["GET"], response_model=None)
        app.add_api_route("/login", self.by_form, methods=["POST"], response_model=None)
        app.add_api_route("/help", self.help, methods=["GET"], response_model=None)
        app.add_api_route("/static/{name}", self.static, methods=["GET"], response_model=None)

    def by_address(self, token: str = "") -> Response:
        return self._let_in(token)

    def by_form(self, token: Annotated[str, Form()] = "") -> Response:
        return self._let_in(token)

    def help(self) -> str:
        return self._pages.draw("help", waiting=None)

    def static(self, name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        package, file, kind = STATIC[name]
        return Response(files(package).joinpath(file).read_bytes(), media_type=kind)

    def _let_in(self, token: str) -> Response:
        if not same(token, self._keys.token):
            says = "That is not the token." if token else "Type the token that `superalign view` printed."
            return HTMLResponse(self._pages.draw("login", says=says, waiting=None), 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._keys.cookie_name, self._keys.cookie, httponly=True, samesite="strict")
        return answer


class _Runs:
    """The list of runs, and all pages of one."""

    def __init__(self, pages: Pages, root: Path, queue: ReviewQueue | None, reviewer: str) -> None:
        self._pages, self._root, self._queue, self._reviewer = pages, root, queue, reviewer

    def add_to(self, app: FastAPI) -> None:
        shown: dict[str, Callable[..., Any]] = {
            "/": self.list,
            "/runs/{name}": self.one,
            "/runs/{name}/trial": self.trial,
            "/runs/{name}/trial/{subject}": self.subject,
            "/runs/{name}/ledger": self.ledger,
            "/runs/{name}/logs/{log}": self.log,
            "/runs/{name}/report": self.report,
            "/runs/{name}/research": self.research,
        }
        for path, page in shown.items():
            app.add_api_route(path, page, methods=["GET"], response_model=None)
        app.add_api_route("/runs/{name}/stop", self.stop, methods=["POST"], response_model=None)

    def list(self, page: PageNumber = 1) -> str:
        names = paged(runs.run_names(self._root), page, ROWS)
        cards = [runs.card(self._root / name) for name in names.items]
        return self._draw("runs", cards=cards, page=names, root=str(self._root))

    def one(self, name: str, page: PageNumber = 1) -> Response:
        folder = runs.folder_of(self._root, name)
        if not (folder / runs.MANIFEST).is_file():
            return RedirectResponse(f"/runs/{name}/research", 303)
        faults: list[str] = []
        manifest = _or_fault(faults, lambda: runs.manifest_of(folder))
        entries = _or_fault(faults, lambda: runs.entries_of(folder)) or []
        trial = runs.trial_of(folder, entries)
        summary = _or_fault(faults, lambda: runs.summary_of(folder))
        if summary and summary.trial and trial.state != "unsealed":  # what is not opened by the ledger is not shown
            faults.append("The summary tells of a trial that the ledger did not open. It is not shown.")
            summary = summary.model_copy(update={"trial": None, "decision": None})
        done = paged([entry for entry in entries if entry.kind == "step"], page, ROWS)
        content = self._draw(
            "run",
            name=name,
            folder=str(folder),
            state=runs.state_of(folder),
            failure=_or_fault(faults, lambda: runs.failure_of(folder)) or "",
            manifest=manifest,
            summary=summary,
            glance=steps(summary) if summary else (),
            trial=trial,
            ledger=runs.verified(folder),
            page=done,
            steps=runs.step_rows(folder, done.items),
            plan=_or_fault(faults, lambda: runs.text_of(folder / runs.PLAN)) or "",
            logs=runs.log_files(folder),
            has_report=(folder / runs.REPORT).is_file(),
            has_research=(folder / runs.RESEARCH).is_file(),
            faults=list(dict.fromkeys(faults)),
        )
        return HTMLResponse(content)

    def trial(self, name: str, page: PageNumber = 1) -> str:
        folder = runs.folder_of(self._root, name)
        found = runs.trial_of(folder, runs.entries_of(folder))
        names = paged(found.names, page, SUBJECTS)
        detectors = sorted({detector for looks in found.looks.values() for detector in looks})
        verdicts = {
            subject: {detector: runs.verdict_of(folder, key) for detector, key in found.looks.get(subject, {}).items()}
            for subject in names.items
        }
        return self._draw("trial", name=name, trial=found, page=names, detectors=detectors, verdicts=verdicts)

    def subject(self, name: str, subject: str) -> str:
        folder = runs.folder_of(self._root, name)
        found = runs.trial_of(folder, runs.entries_of(folder))
        if subject not in found.names:
            raise InputError(f"There is no subject named {subject[:100]!r} in this trial.")
        place = found.names.index(subject)
        looks = sorted(found.looks.get(subject, {}).items())
        return self._draw(
            "subject",
            name=name,
            subject=subject,
            trial=found,
            verdicts=[(detector, runs.verdict_of(folder, key)) for detector, key in looks],
            previous=found.names[place - 1] if place else None,
            following=found.names[place + 1] if place + 1 < len(found.names) else None,
        )

    def ledger(self, name: str, page: PageNumber = 1) -> str:
        folder = runs.folder_of(self._root, name)
        entries = paged(runs.entries_of(folder)[::-1], page, ENTRIES)
        return self._draw("ledger", name=name, page=entries, ledger=runs.verified(folder), most=BODY_CHARACTERS // 10)

    def log(self, name: str, log: str) -> str:
        folder = runs.folder_of(self._root, name)
        if log.endswith(".eval"):
            return self._draw("log", name=name, log=log, text=None, skipped=0, folder=str(folder / runs.LOGS))
        text, skipped = runs.log_tail(folder, log)
        return self._draw("log", name=name, log=log, text=text, skipped=skipped, folder="")

    def report(self, name: str) -> Response:
        """The file as it is, in a sandbox: it can run nothing, and is no page of this site."""
        folder = runs.folder_of(self._root, name)
        summary = runs.summary_of(folder)
        if summary and summary.trial and runs.trial_of(folder, runs.entries_of(folder)).state != "unsealed":
            raise InputError("The report tells of a trial that the ledger did not open. It is not shown.")
        found = runs.bytes_of(folder / runs.REPORT)
        return HTMLResponse(found, headers={"Content-Security-Policy": REPORT_POLICY})

    def research(self, name: str, page: PageNumber = 1) -> str:
        folder = runs.folder_of(self._root, name)
        progress = runs.progress_of(folder)
        plots = [
            (size, research.plot(progress, width, height, f"proposals-{size}"))
            for size, width, height in (("wide", 860.0, 300.0), ("narrow", 350.0, 260.0))
        ]
        return self._draw(
            "research",
            name=name,
            found=progress,
            page=paged(research.tree(progress), page, BRANCHES),
            plots=plots,
            stopping=research.is_stopped(folder),
            has_run=(folder / runs.MANIFEST).is_file(),
        )

    def stop(self, name: str, confirm: Annotated[str, Form()] = "") -> Response:
        folder = runs.folder_of(self._root, name)
        if not (folder / runs.RESEARCH).is_file():
            raise InputError("There is no research in this run that could be stopped.")
        if confirm != "stop":
            raise InputError("The research goes on: the box that confirms was not ticked.", fix="Go back and tick it.")
        research.stop(folder, self._reviewer)
        return RedirectResponse(f"/runs/{name}/research", 303)

    def _draw(self, template: str, /, **content: Any) -> str:
        return self._pages.draw(template, waiting=len(self._queue.pending()) if self._queue else None, **content)


class _Review:
    """The queue, and one item of it."""

    def __init__(self, pages: Pages, queue: ReviewQueue | None, reviewer: str) -> None:
        self._pages, self._queue, self._reviewer = pages, queue, reviewer

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route("/queue", self.list, methods=["GET"], response_model=None)
        app.add_api_route("/queue/{number}", self.item, methods=["GET"], response_model=None)
        app.add_api_route("/queue/{number}", self.decide, methods=["POST"], response_model=None)

    def list(self, page: PageNumber = 1, decided: int | None = None) -> str:
        queue = self._there()
        pending = queue.pending()
        done = queue.get(decided) if decided is not None and decided >= 0 else None
        return self._pages.draw(
            "queue", waiting=len(pending), page=paged(pending, page, ROWS), minutes=queue.minutes_left, done=done
        )

    def item(self, number: int, page: PageNumber = 1) -> str:
        return self._drawn(self._there().open(number, self._reviewer), page)

    def decide(
        self, number: int, verdict: Annotated[str, Form()] = "", reason: Annotated[str, Form()] = ""
    ) -> Response:
        queue = self._there()
        try:
            decision = ReviewDecision.model_validate(
                {
                    "number": number,
                    "verdict": verdict,
                    "reason": reason.replace("\r\n", "\n"),
                    "reviewer": self._reviewer,
                }
            )
        except ValidationError:
            says = "Nothing was decided: give a reason of at most 4,000 characters, then approve, reject or ask."
            return HTMLResponse(self._drawn(queue.get(number), 1, says, reason), 400)
        try:
            queue.decide(decision)
        except SuperalignError as error:
            return HTMLResponse(self._drawn(queue.get(number), 1, f"Nothing was decided. {error}", reason), 409)
        return RedirectResponse(f"/queue?decided={number}", 303)

    def _drawn(self, item: ReviewItem, page: int, fault: str = "", reason: str = "") -> str:
        queue = self._there()
        pending, lines = queue.pending(), diff.lines(item.diff)
        return self._pages.draw(
            "item",
            waiting=len(pending),
            item=item,
            page=paged(lines, page, diff.LINES),
            changes=diff.changes(lines),
            body=item.body[:BODY_CHARACTERS],
            cut=max(0, len(item.body) - BODY_CHARACTERS),
            minutes=queue.minutes_left,
            following=next((one.number for one in pending if one.number != item.number), None),
            fault=fault,
            reason=reason,
        )

    def _there(self) -> ReviewQueue:
        if self._queue is None:
            raise InputError(
                "There is no review queue here.",
                fix="The researcher makes one when it first asks. Start this again then.",
            )
        return self._queue


class _Faults:
    """Whatever goes wrong becomes a page that says what, without a traceback."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def add_to(self, app: FastAPI) -> None:
        app.add_exception_handler(SuperalignError, self.known)
        app.add_exception_handler(HTTPException, self.no_page)
        app.add_exception_handler(RequestValidationError, self.misread)
        app.add_exception_handler(Exception, self.unforeseen)

    def known(self, _: Request, error: Exception) -> Response:
        return self._page(404 if isinstance(error, InputError) else 409, str(error))

    def no_page(self, _: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._page(status, "There is no such page here." if status == 404 else "That can't be done here.")

    def misread(self, _: Request, __: Exception) -> Response:
        return self._page(400, "This address or form has a value that can't be read.")

    def unforeseen(self, _: Request, error: Exception) -> Response:
        return self._page(500, f"The page can't be drawn: an error in superalign ({type(error).__name__}).")

    def _page(self, status: int, says: str) -> Response:
        return HTMLResponse(self._pages.draw("fault", says=says, waiting=None), status)


def _or_fault(faults: list[str], read: Any) -> Any:
    """What `read` returns; None where it fails, with why among `faults`."""
    try:
        return read()
    except SuperalignError as error:
        faults.append(error.what)
        return None
