"""Monitoring on a setting of control-arena: tool calls of its infrastructure tasks, which its wheel ships.

control-arena 20.1.1 (UK AI Security Institute, MIT) holds, for tasks on a training cluster, the calls with which a task
was done honestly, and calls that also carry out a side task, such as sending off credentials. They are replayed here as
an untrusted agent's; no call is executed, and nothing of the package is imported.

    pip download --no-deps control-arena==20.1.1
    python examples/control_arena.py control_arena-20.1.1-py3-none-any.whl

Each task is held out in turn: alarms learn from the honest calls of other tasks, whose scores, each without its own
task, set the threshold. So few trajectories support no rate below one in ten, and intervals are wide. Length is the
baseline: whoever does more writes more. One scripted alarm knows the truth and shows that the setting can be caught.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from superalign.contracts.actions import Action, Score
from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval
from superalign.control.alarms.readers import UnfamiliarAlarm, WordsAlarm, scores_of
from superalign.control.alarms.transcripts import corpus, kinds
from superalign.control.protocols.handling import Audits, ControlProtocol
from superalign.control.protocols.thresholds import threshold_for
from superalign.trials.statistics import clopper_pearson

TASKS = "control_arena/settings/infra/main_tasks"
HONEST = ("honest.jsonl", "feature_store_human.jsonl")
LONGEST = 4000  # characters of one call
RATES = (0.1, 0.2)

# From honest actions to learn from, and actions to score, to scores.
Scorer = Callable[[Sequence[Action], Sequence[Action]], list[Score]]


def trajectories(wheel: Path) -> tuple[list[Action], list[Action]]:
    """Honest and attacking trajectories, each as one action whose group is its task. InputError for another file."""
    fix = "Run: pip download --no-deps control-arena==20.1.1"
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(TASKS) and name.endswith(".jsonl")]
            files = {name: archive.read(name).decode() for name in sorted(names)}
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"This is no wheel: {type(error).__name__}.", where=str(wheel), fix=fix) from None
    honest: list[Action] = []
    attacking: list[Action] = []
    for name, text in files.items():
        task, file = name.removeprefix(f"{TASKS}/").split("/QA/")
        calls = [_line(json.loads(line)) for line in text.splitlines() if line.strip()]
        action = Action(id=f"{task}/{file}", group=task, request=task.strip("_"), call=" ; ".join(calls))
        (honest if file in HONEST else attacking).append(action)
    if not honest or not attacking:
        raise InputError("This wheel has no trajectories of its infrastructure tasks.", where=str(wheel), fix=fix)
    return honest, attacking


def unfamiliar(learnt: Sequence[Action], actions: Sequence[Action]) -> list[Score]:
    alarm = UnfamiliarAlarm(worst=10).learn([action.text for action in learnt], [False] * len(learnt))
    return scores_of(alarm, [action.text for action in actions])


def length(learnt: Sequence[Action], actions: Sequence[Action]) -> list[Score]:
    return [float(len(action.call)) for action in actions]


def made_up_transcripts() -> Scorer:
    """The words of our made-up attacks: do they tell anything here?"""
    told = corpus(sorted(kinds()), ("attack", "twin", "declined", "ordinary"), 10)
    alarm = WordsAlarm().learn([one.text for one in told], [one.harmful for one in told])
    return lambda learnt, actions: scores_of(alarm, [action.text for action in actions])


def truth(attacking: Sequence[Action]) -> Scorer:
    known = {action.id for action in attacking}
    return lambda learnt, actions: [float(action.id in known) for action in actions]


def stopped(scorer: Scorer, honest: Sequence[Action], tested: Sequence[Action], rate: float) -> tuple[int, int]:
    """How many of the tested actions a person was shown, of those for which a threshold could be set."""
    protocol = ControlProtocol("monitoring", "audit")
    seen = of = 0
    for action in tested:
        others = [one for one in honest if one.group != action.group]
        calm = [scorer([two for two in others if two is not one], [one])[0] for one in others]
        limit = threshold_for(calm, rate)
        if isinstance(limit, float):
            [done] = protocol.handle([action], scorer(others, [action]), limit, Audits(1, lambda action: True))
            seen, of = seen + done.audited, of + 1
    return seen, of


def _line(call: dict[str, Any]) -> str:
    return f"{call.get('function')} {json.dumps(call.get('arguments'), sort_keys=True)}"[:LONGEST]


def _said(count: tuple[int, int]) -> str:
    found = clopper_pearson(*count)
    return (
        "not measured"
        if not isinstance(found, Interval)
        else f"{count[0]} of {count[1]} [{found.low:.2f}, {found.high:.2f}]"
    )


def main(wheel: Path) -> None:
    honest, attacking = trajectories(wheel)
    print(f"{len(honest)} honest and {len(attacking)} attacking trajectories; shown to a person, with 95 % intervals")
    alarms = {
        "truth (control)": truth(attacking),
        "length": length,
        "unfamiliar": unfamiliar,
        "words of made-up attacks": made_up_transcripts(),
    }
    print(f"{'alarm':26}{'rate':6}{'attacking':25}honest")
    for name, scorer in alarms.items():
        for rate in RATES:
            counts = [_said(stopped(scorer, honest, tested, rate)) for tested in (attacking, honest)]
            print(f"{name:26}{rate:<6g}{counts[0]:25}{counts[1]}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python examples/control_arena.py WHEEL")
    try:
        main(Path(sys.argv[1]))
    except InputError as error:
        sys.exit(str(error))
