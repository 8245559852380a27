"""Our models for Inspect AI: `inspect eval FILE --model superalign/NAME`, and whatever else takes an Inspect model.

Inspect finds this by the entry point `inspect_ai` and imports it whenever it looks for any provider, so that whatever
is heavy is imported when one of our models is opened. Samples that run at the same time are answered together.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from superalign.contracts.errors import InputError, SuperalignError
from superalign.contracts.records import Conversation, Message

if TYPE_CHECKING:
    from superalign.models.answering import Ask, Piece, Scored

ARGUMENTS = ("base", "device", "dtype")  # as -M NAME=VALUE
LONGEST = 2048  # tokens of an answer for which no length is asked
TOGETHER = 32
# What Inspect can ask of a model and ours can't do, with the values that ask for nothing.
NOT_DONE: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "top_k": (0, -1),
    "best_of": (1,),
    "prompt_logprobs": (0,),
    "response_schema": (),
}


@modelapi(name="superalign")
class SuperalignModel(ModelAPI):
    """A model by the name that superalign knows it by: a known name, a path, hf/OWNER/NAME.

    `-M base=NAME` names what an adapter or delta was trained from, `-M device=cuda` and `-M dtype=float32` where and in
    what it is computed.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - as Inspect declares it; it is not changed
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        try:
            _check_done(config)  # what the command line asks for; a task may ask for more, later
            self._open(**_checked(model_args))
        except SuperalignError as error:
            raise PrerequisiteError(str(error)) from None

    def _open(self, base: str | None = None, device: str = "cpu", dtype: str = "bfloat16") -> None:
        from superalign.models.answering import Answerer
        from superalign.models.handle import open_alone
        from superalign.models.queue import ModelQueue

        subject, _ = open_alone(self.model_name, base, device=device, dtype=dtype)
        self._answerer = Answerer(subject)
        self._queue = ModelQueue(self._answerer, together=TOGETHER)

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """One sample's answers, drawn anew unless `config.seed` is set. PrerequisiteError for what can't be asked."""
        try:
            if tools:
                raise InputError(f"{self.model_name} calls no tools.", fix="Give it a task without tools.")
            _check_done(config)
            prompt = self._answerer.encode(_conversation(input))
            room = self._answerer.context - len(prompt) if self._answerer.context else LONGEST
            if room < 1:
                return ModelOutput.from_content(self.model_name, "", stop_reason="model_length")
            ask = self._ask(prompt, room, config)
            request = self._queue.enter(ask)
            pieces: list[list[Piece]] = [[] for _ in request.rows]
            async for answer, piece in request.pieces():
                pieces[answer].append(piece)
        except SuperalignError as error:
            raise PrerequisiteError(str(error)) from None
        cut = "model_length" if (config.max_tokens or LONGEST) > room else "max_tokens"
        written = sum(each[-1].written for each in pieces)
        return ModelOutput(
            model=self.model_name,
            choices=[self._choice(each, cut, with_logprobs=ask.likeliest is not None) for each in pieces],
            usage=ModelUsage(input_tokens=len(prompt), output_tokens=written, total_tokens=len(prompt) + written),
        )

    def max_tokens(self) -> int:
        return LONGEST

    def max_connections(self) -> int:
        """As many samples as are answered together."""
        return TOGETHER

    def connection_key(self) -> str:
        return self.model_name

    def collapse_user_messages(self) -> bool:
        """Many chat templates refuse two messages of one role in a row."""
        return True

    def collapse_assistant_messages(self) -> bool:
        return True

    def close(self) -> None:
        self._queue.close()

    def _ask(self, prompt: tuple[int, ...], room: int, config: GenerateConfig) -> Ask:
        from superalign.models.answering import Ask, sampling

        temperature = 1.0 if config.temperature is None else config.temperature
        top_p = 1.0 if config.top_p is None else config.top_p
        return Ask(
            prompt,
            min(config.max_tokens or LONGEST, room),
            sampling(temperature, top_p, config.seed),
            answers=config.num_choices or 1,
            stops=tuple(stop for stop in config.stop_seqs or () if stop),
            likeliest=(config.top_logprobs or 0) if config.logprobs else None,
        )

    def _choice(self, pieces: list[Piece], cut: Any, *, with_logprobs: bool) -> ChatCompletionChoice:
        text = "".join(piece.text for piece in pieces)
        scored = [token for piece in pieces for token in piece.tokens]
        return ChatCompletionChoice(
            message=ChatMessageAssistant(content=text, model=self.model_name, source="generate"),
            stop_reason="stop" if pieces[-1].end == "stop" else cut,
            logprobs=Logprobs(content=[_logprob(token) for token in scored]) if with_logprobs else None,
        )


def _checked(arguments: dict[str, Any]) -> dict[str, str]:
    for name in arguments:
        if name not in ARGUMENTS:
            near = get_close_matches(name, ARGUMENTS, n=1)
            raise InputError(
                f"superalign models take no argument {name!r}.",
                fix=f"Did you mean -M {near[0]}=...?"
                if near
                else "There are: -M base=NAME, -M device=NAME, -M dtype=NAME.",
            )
    return {name: str(value) for name, value in arguments.items()}


def _check_done(config: GenerateConfig) -> None:
    for name, asks_nothing in NOT_DONE.items():
        if (value := getattr(config, name)) is not None and value not in asks_nothing:
            raise InputError(f"superalign models know no {name}.", fix="Leave it out.")


def _conversation(messages: list[ChatMessage]) -> Conversation:
    found = []
    for message in messages:
        if message.role == "tool":
            raise InputError("superalign models know no results of tools.", fix="Give them a task without tools.")
        parts = [ContentText(text=message.content)] if isinstance(message.content, str) else message.content
        texts = [part.text for part in parts if isinstance(part, ContentText)]
        if len(texts) < sum(not isinstance(part, ContentReasoning) for part in parts):
            raise InputError("superalign models read text only.", fix="Give them a task without images or files.")
        found.append(Message(role=message.role, content="\n".join(texts)))
    return tuple(found)


def _logprob(scored: Scored) -> Logprob:
    likeliest = [TopLogprob(token=one.text, logprob=one.logprob, bytes=one.bytes) for one in scored.likeliest]
    return Logprob(token=scored.text, logprob=scored.logprob, bytes=scored.bytes, top_logprobs=likeliest)
