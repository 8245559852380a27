"""The official client against `superalign serve`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from openai import APIStatusError, AuthenticationError, BadRequestError, NotFoundError, OpenAI
from transformers import AutoModelForCausalLM, AutoTokenizer

from superalign.contracts.records import Message
from superalign.models.endpoint import EndpointSubject
from superalign.models.handle import open_alone
from tests.web.conftest import COMMAND, KEY, client, started

QUESTIONS = [f"Question {i}: is Paris in France" + "?" * i for i in range(6)]


def ask(served: OpenAI, model: Path, said: str = "Hello", **fields: Any) -> Any:
    given = {"max_tokens": 12, "temperature": 0} | fields
    return served.chat.completions.create(model=str(model), messages=[{"role": "user", "content": said}], **given)


def plain(model: Path) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)


def test_an_answer_is_what_transformers_generates(served: OpenAI, model: Path) -> None:
    tokenizer, theirs = plain(model)
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": [{"type": "text", "text": "Is Oslo "}, {"type": "text", "text": "in Norway?"}]},
    ]
    found = served.chat.completions.create(model=str(model), messages=messages, max_tokens=20, temperature=0)  # type: ignore[arg-type]
    messages[-1]["content"] = "Is Oslo in Norway?"
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")["input_ids"]
    tokens = theirs.generate(prompt, max_new_tokens=20, do_sample=False)[0, prompt.shape[1] :].tolist()
    assert found.choices[0].message.content == tokenizer.decode(tokens, skip_special_tokens=True)
    assert found.choices[0].finish_reason == ("stop" if tokens[-1] == tokenizer.eos_token_id else "length")
    usage = (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens)
    assert usage == (prompt.shape[1], len(tokens), prompt.shape[1] + len(tokens))
    assert found.object == "chat.completion" and found.model == str(model) and found.system_fingerprint


def test_logprobs_are_those_of_the_model(served: OpenAI, model: Path) -> None:
    tokenizer, theirs = plain(model)
    found = ask(served, model, logprobs=True, top_logprobs=3, temperature=1, seed=4)
    tokens = found.choices[0].logprobs.content
    assert len(tokens) == 12
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], add_generation_prompt=True)
    ids = list(prompt["input_ids"])
    spelt = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    for token in tokens:
        with torch.no_grad():
            logprobs = theirs(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        best = logprobs.topk(3)
        assert [one.logprob for one in token.top_logprobs] == pytest.approx(best.values.tolist(), abs=1e-3)
        near = [i for i, text in enumerate(spelt) if text == token.token and abs(logprobs[i] - token.logprob) < 1e-3]
        assert near, token
        ids.append(near[0])
        assert token.bytes is None or bytes(token.bytes).decode() == token.token


def test_at_once_as_one_by_one(served: OpenAI, model: Path) -> None:
    def both(said: str) -> list[str]:
        drawn = ask(served, model, said, temperature=1.5, top_p=0.9, seed=7, max_tokens=30)
        return [ask(served, model, said, max_tokens=30).choices[0].message.content, drawn.choices[0].message.content]

    one_by_one = [both(said) for said in QUESTIONS]
    with ThreadPoolExecutor(len(QUESTIONS)) as threads:
        assert list(threads.map(both, QUESTIONS)) == one_by_one
    assert len({text for texts in one_by_one for text in texts}) == 2 * len(QUESTIONS)


def test_a_stream_says_the_same(served: OpenAI, model: Path) -> None:
    whole = ask(served, model, logprobs=True, n=2, temperature=1, seed=3, stop=["a", "the"])
    chunks = list(
        ask(
            served,
            model,
            logprobs=True,
            n=2,
            temperature=1,
            seed=3,
            stop=["a", "the"],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(chunk.usage is None and chunk.id == chunks[0].id for chunk in chunks[:-1])
    for choice in whole.choices:
        own = [each for chunk in chunks for each in chunk.choices if each.index == choice.index]
        assert own[0].delta.role == "assistant"
        assert "".join(each.delta.content or "" for each in own) == choice.message.content
        assert [each.finish_reason for each in own] == [None] * (len(own) - 1) + [choice.finish_reason]
        assert [t for each in own if each.logprobs for t in each.logprobs.content] == choice.logprobs.content


def test_a_stop_sequence_is_not_said(served: OpenAI, model: Path) -> None:
    whole = ask(served, model, max_tokens=40).choices[0].message.content
    stop = re.findall("[a-z]{3}", whole)[-1]
    cut = ask(served, model, max_tokens=40, stop=stop).choices[0]
    assert cut.message.content == whole[: whole.index(stop)] and cut.finish_reason == "stop"


def test_answers_drawn_without_a_seed_differ(served: OpenAI, model: Path) -> None:
    assert len({ask(served, model, temperature=1).choices[0].message.content for _ in range(3)}) == 3
    assert len({choice.message.content for choice in ask(served, model, temperature=1, seed=1, n=3).choices}) == 3


def test_what_garak_sends(served: OpenAI, model: Path) -> None:
    """The arguments of garak 0.17's OpenAI-compatible generator, by default and with several generations."""
    usual = {"temperature": 0.7, "top_p": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "max_tokens": 150}
    for answers in (1, 3):
        found = ask(served, model, n=answers, stop=["#", ";"], **usual)
        assert len(found.choices) == answers
        assert not any(mark in choice.message.content for choice in found.choices for mark in "#;")


def test_it_is_an_endpoint_to_ask(served: OpenAI, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What audits somebody's endpoint audits this one."""
    for name, value in {"API_KEY": KEY, "BASE_URL": str(served.base_url)}.items():
        monkeypatch.setenv(f"SERVED_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asked = [(Message(role="user", content=said),) for said in QUESTIONS]
    itself, _ = open_alone(str(model), dtype="float32")
    assert EndpointSubject(f"openai-api/served/{model}").respond(asked) == itself.respond(asked)


def test_the_models_that_are_here(served: OpenAI, model: Path) -> None:
    assert [each.id for each in served.models.list()] == [str(model)]
    health = httpx.get(str(served.base_url).replace("/v1/", "/health"), trust_env=False)
    assert health.json() == {"status": "ok"}


@pytest.mark.parametrize("given", [None, KEY, "Bearer sk-served", f"Bearer {KEY}x", f"Basic {KEY}", "Bearer schlüssel"])
def test_only_with_the_key(served: OpenAI, model: Path, given: str | None) -> None:
    headers = {"Authorization": given.encode()} if given else {}
    answer = httpx.get(f"{served.base_url}models", headers=headers, trust_env=False)
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    with pytest.raises(AuthenticationError, match="missing or wrong"):
        ask(client(str(served.base_url), "another"), model)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"max_tokens": 2000}, "at most 1024"),
        ({"max_tokens": 1024}, "context has 1024 tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_logprobs": 2}, "Set logprobs to true"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"n": 33}, "n:"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"frequency_penalty": 0.5}, "frequency_penalty is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format is not supported"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools is not supported"),
        ({"temprature": 1}, "Did you mean temperature?"),
        ({"\ud800": 1}, "not JSON in UTF-8"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "not JSON in UTF-8"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
    ],
)
def test_what_can_not_be_done_is_refused(served: OpenAI, model: Path, fields: dict[str, Any], says: str) -> None:
    """By raw requests: the client checks some of it itself."""
    body = {"model": str(model), "messages": [{"role": "user", "content": "Hi"}], **fields}
    answer = post(served, json.dumps(body).encode())
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["type"] == "invalid_request_error" and says in error["message"]


def test_the_clients_own_errors(served: OpenAI, model: Path) -> None:
    with pytest.raises(BadRequestError, match="at most 1024"):
        ask(served, model, max_tokens=4000)
    with pytest.raises(NotFoundError, match="no model 'other'") as missing:
        ask(served, Path("other"))
    assert missing.value.code == "model_not_found"
    with pytest.raises(NotFoundError, match="There is no POST /v1/embeddings here"):
        served.embeddings.create(model=str(model), input="x")
    with pytest.raises(APIStatusError) as large:
        ask(served, model, "x" * 2**21)
    assert large.value.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xff", b'{"a":' * 5000, b'{"max_tokens": 1e999}'])
def test_a_body_of_any_content(served: OpenAI, body: bytes) -> None:
    answer = post(served, body)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def post(served: OpenAI, body: bytes) -> httpx.Response:
    return httpx.post(
        f"{served.base_url}chat/completions",
        content=body,
        headers={"Authorization": f"Bearer {KEY}"},
        trust_env=False,
        timeout=120,
    )


def test_a_signal_lets_answers_end_and_no_key_is_in_what_it_says(model: Path) -> None:
    with started("--model", model, "--api-key-env", "SERVED_KEY") as (process, address):
        stream = ask(client(address), model, max_tokens=300, temperature=1, seed=1, stream=True)
        chunks = [next(stream)]
        process.send_signal(signal.SIGTERM)
        chunks += stream
        out, err = process.communicate(timeout=120)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length") and len(chunks) > 10
    assert process.returncode == 0 and err.splitlines()[-1] == "Stopped."
    assert KEY not in out + err and "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "--api-key-env VAR"),
        (["--api-key-env", "NOT_SET_ANYWHERE"], "export NOT_SET_ANYWHERE"),
        (["--host", "192.0.2.1", "--api-key-env", "PATH"], "Can't listen on 192.0.2.1"),
        (["--model", "./nowhere"], "no model at this path"),
        (["--model", "openai/gpt-4o"], "is an endpoint"),
        (["--dtype", "float8"], "bfloat16, float32"),
    ],
)
def test_what_can_not_be_served(model: Path, options: list[str], says: str) -> None:
    given = [] if "--model" in options else ["--model", str(model)]
    done = subprocess.run([*COMMAND, "--port", "0", *given, *options], capture_output=True, text=True, timeout=300)
    said = " ".join(done.stderr.split())
    assert done.returncode == 2 and says in said and "Traceback" not in said and done.stdout == ""
