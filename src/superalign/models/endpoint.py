"""A model behind an API as the subject of an audit: it answers, and shows nothing else of itself.

Inspect AI speaks to the provider. What is ours is what an audit needs beyond that: every answer is a text or
`Unscored` with its reason, every request is counted, and no key is ever quoted.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from jaxtyping import Float

from superalign.contracts.errors import AccessError, InputError, ModelError
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Access, Conversation, Unscored
from superalign.runs.cost import count

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, GenerateConfig, Model, ModelOutput

# The providers that Inspect AI knows by name; a path that exists goes first.
PROVIDERS = frozenset({
    "anthropic", "azureai", "bedrock", "cloudflare", "deepseek", "fireworks", "google", "grok", "groq", "mistral",
    "mockllm", "nebius", "ollama", "openai", "openai-api", "openrouter", "perplexity", "sagemaker", "sglang",
    "together", "vertex", "vllm",
})  # fmt: skip
SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")  # in the names of environment variables
SHORTEST_SECRET = 8  # local servers take any key; replacing a word such as "none" would spoil the quote
LONGEST_QUOTE = 200  # characters of what an endpoint says
# As many as Inspect is told to let through. It keeps the first limit that it hears for a model in this process, and who
# waits there behind a silent request would run out of patience: each subject has a limit of its own.
INSPECT_CONNECTIONS = 10_000


def is_endpoint(name: str) -> bool:
    """Whether `name` is an Inspect AI name: a provider, a slash, and the provider's name for the model."""
    return name.partition("/")[0] in PROVIDERS and "/" in name


class EndpointSubject:
    """A model by its Inspect AI name: `openai/...`, `anthropic/...`, `vllm/...`, `openai-api/SERVICE/...`.

    At most `connections` requests run at a time. One that meets a full or failing server, or loses its connection, is
    tried `attempts` times; the waits between start near `first_wait` seconds and double. One without an answer after
    `timeout` seconds is not tried again: what is too slow once is so again.
    """

    access: frozenset[Access] = frozenset({Access.BLACK_BOX})
    layers = 0
    base = None

    def __init__(
        self,
        model: str,
        name: str | None = None,
        *,
        connections: int = 8,
        attempts: int = 6,
        timeout: float = 120.0,
        first_wait: float = 1.0,
    ) -> None:
        """ModelError when Inspect AI or the provider's package is missing, no such provider exists or no key is set."""
        self.model = model
        self.name = name or model
        self._inspect = _inspect_model(model)
        self._free = asyncio.Semaphore(connections)
        self._attempts = attempts
        self._timeout = timeout
        self._first_wait = first_wait
        self._jitter = random.Random()  # of its own: a run's seeded numbers must not depend on a server's moods

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        """Answers at temperature 0, cut at `max_tokens` as those of our own models are. Whatever else ends an answer
        early, and whatever fails, is `Unscored`. ModelError when the endpoint knows neither the key nor the model.
        """
        if not conversations:
            raise InputError(f"Subject {self.name!r} was asked nothing.", fix="Give at least one conversation.")
        outputs = self.outputs(conversations, max_tokens=max_tokens)
        return [one if isinstance(one, Unscored) else answer_text(one, max_tokens) for one in outputs]

    def outputs(self, conversations: Sequence[Conversation], **config: Any) -> list[ModelOutput | Unscored]:
        """All that the endpoint sent, when asked by these settings of Inspect's GenerateConfig. Raises as `respond`."""
        from inspect_ai.model import GenerateConfig

        asked = self._ask_all(conversations, GenerateConfig(**config))
        outputs = asyncio.run_coroutine_threadsafe(asked, _event_loop())
        try:
            return outputs.result()
        finally:
            outputs.cancel()  # whoever interrupts the wait wants no more requests

    def yes_logits(self, conversations: Sequence[Conversation]) -> Float[np.ndarray, "conversations"]:
        """AccessError: providers show at most a few tokens' probabilities, seldom those of every spelling."""
        self._refuse(Access.LOGPROBS)

    def activations(
        self, conversations: Sequence[Conversation], layers: Sequence[int]
    ) -> Float[np.ndarray, "conversations layers width"]:
        """AccessError: an endpoint shows no activations."""
        self._refuse(Access.ACTIVATIONS)

    def training_data(self) -> tuple[Taught, ...]:
        """AccessError: an endpoint does not say what it was taught."""
        self._refuse(Access.TRAINING_DATA)

    def _refuse(self, access: Access) -> NoReturn:
        raise AccessError(
            f"Subject {self.name!r} does not allow {access.value}.", fix="Use a detector that needs less."
        )

    async def _ask_all(
        self, conversations: Sequence[Conversation], config: GenerateConfig
    ) -> list[ModelOutput | Unscored]:
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._ask(chat_messages(one), config)) for one in conversations]
        except ExceptionGroup as failed:  # the fault of one is the fault of all: no such key, no such model
            raise failed.exceptions[0] from None
        return [answer.result() for answer in asked]

    async def _ask(self, messages: list[ChatMessage], config: GenerateConfig) -> ModelOutput | Unscored:
        """The answer to one conversation, after as many requests as it takes or may take."""
        reason = ""
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(self._first_wait * 2 ** (attempt - 1) * self._jitter.uniform(0.5, 1.5))
            try:
                async with self._free:
                    return await self._request(messages, config)
            except _Transient as failure:
                reason = str(failure)
        return Unscored(reason=f"no answer after {self._attempts} requests: {reason}")

    async def _request(self, messages: list[ChatMessage], config: GenerateConfig) -> ModelOutput | Unscored:
        """One request. `_Transient` when another may fare better."""
        from tenacity import RetryError

        count(forward_passes=1)
        try:
            async with asyncio.timeout(self._timeout) as patience:
                output = await self._inspect.generate(messages, config=config)
        except RetryError as error:  # Inspect would have tried again, had we let it
            raise _Transient(fault(error.last_attempt.exception() or error)) from None
        except Exception as error:
            if patience.expired():
                return Unscored(reason=f"no answer within {self._timeout:g} seconds")
            self._check_mendable(_status(error))
            return Unscored(reason=fault(error))
        if output.usage:
            count(tokens=output.usage.total_tokens)
        return output

    def _check_mendable(self, status: int | None) -> None:
        """ModelError for what only the user can mend, and what would fail for every conversation alike."""
        if status == 401:
            keys = " or ".join(self._inspect.api.api_key_vars) or "the provider's key"
            raise ModelError(f"The endpoint refused the API key of {self.model!r} (HTTP 401).", fix=f"Set {keys} anew.")
        if status == 404:
            raise ModelError(
                f"The endpoint knows no model {self.model!r} (HTTP 404).",
                fix="Check the model's name, and the provider's base URL if you have set one.",
            )


class _Transient(Exception):
    """A request failed in a way that may pass; says how."""


@cache
def _event_loop() -> asyncio.AbstractEventLoop:
    """One loop for all endpoints, in a thread of its own: callers may be in a loop already, as in a notebook."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="endpoints", daemon=True).start()
    return loop


def _inspect_model(model: str) -> Model:
    """Inspect's model, greedy, which makes one request a call: we do the retries, since we count them."""
    try:
        from inspect_ai.model import GenerateConfig, get_model
    except ImportError:
        raise ModelError(
            f"Model {model!r} is an endpoint, which needs Inspect AI.", fix="Run: pip install 'superalign[endpoints]'"
        ) from None

    config = GenerateConfig(temperature=0.0, max_connections=INSPECT_CONNECTIONS, max_retries=0)
    try:
        found = get_model(model, config=config, memoize=False)
    except Exception as error:  # a provider may raise anything while it looks for its package, key and address
        said = _quoted(re.sub(r"\[/?(bold|blue)\]|^ERROR: ", "", str(error)))
        raise ModelError(
            f"The endpoint {model!r} can't be used: {said}",
            fix="Write PROVIDER/MODEL as Inspect AI does, with the provider's package installed and its key set.",
        ) from None
    client: Any = getattr(found.api, "client", None)
    if hasattr(client, "max_retries"):
        client.max_retries = 0  # the provider's own client would retry as well, uncounted
    return found


def chat_messages(conversation: Conversation) -> list[ChatMessage]:
    """The conversation as Inspect has it."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return [kinds[message.role](content=message.content) for message in conversation]


def answer_text(output: ModelOutput, max_tokens: int) -> str | Unscored:
    """The text of what came back, if it is one that the model meant to give and nobody but the caller cut."""
    if output.empty:
        return Unscored(reason="the endpoint sent no answer")
    choice, text = output.choices[0], output.completion.strip()
    details = choice.stop_details
    if choice.stop_reason == "content_filter" or (details and details.type == "refusal"):
        return Unscored(reason=f"refused: {_quoted((details and details.explanation) or 'by a content filter')}")
    if choice.stop_reason == "model_length":
        return Unscored(reason="cut: the conversation is too long for the model")
    if choice.stop_reason == "max_tokens":
        written = output.usage.output_tokens if output.usage else 0
        if 0 < written < max_tokens:
            return Unscored(reason=f"cut by the endpoint after {written} of {max_tokens} tokens")
        if not text:
            return Unscored(reason=f"no text within {max_tokens} tokens; the model may have spent them on reasoning")
    return text or Unscored(reason="the endpoint sent an empty answer")


def fault(error: BaseException) -> str:
    """What went wrong, in the endpoint's own words."""
    if status := _status(error):
        return f"HTTP {status}: {_quoted(str(getattr(error, 'provider_message', None) or error))}"
    behind = f" {error.__cause__}" if error.__cause__ else ""  # clients say "Connection error", and why only there
    return f"no readable answer ({type(error).__name__}): {_quoted(f'{error}{behind}')}"


def _status(error: BaseException) -> int | None:
    """The HTTP status behind a provider's error, if it was one."""
    for holder in (error, getattr(error, "response", None)):
        for field in ("status_code", "code"):
            if isinstance(status := getattr(holder, field, None), int):
                return status
    return None


def _quoted(said: str) -> str:
    """Words that are not ours on one short line."""
    return without_keys(" ".join(said.split()))[:LONGEST_QUOTE]


def without_keys(said: str) -> str:
    """The same without the keys of this environment: a server may send them back."""
    named = (value.strip() for name, value in os.environ.items() if any(part in name.upper() for part in SECRET_NAMES))
    for secret in sorted((value for value in named if len(value) >= SHORTEST_SECRET), key=len, reverse=True):
        said = said.replace(secret, "[key]")
    return said
