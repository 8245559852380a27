"""What a subject says and shows is what transformers computes; what it shares with its base changes nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from superalign.contracts.errors import InputError
from superalign.contracts.records import Access, Conversation, Message
from superalign.models.decoder import Decoder
from superalign.models.subject import NO, YES, Chat, ModelSubject, full_subject
from superalign.testing.tiny import tiny_relative, tiny_subject
from tests.models.conftest import plain_logits, plain_states, user


def copied(subject: ModelSubject) -> ModelSubject:
    return ModelSubject("copy", Decoder(copy.deepcopy(subject.decoder.model)), subject.chat)


class TestAnswers:
    def test_yes_logits_equal_a_plain_pass(self, tiny: ModelSubject, asked: list[Conversation]) -> None:
        yes, no = tiny.chat.first_tokens(YES), tiny.chat.first_tokens(NO)
        logs = [plain_logits(tiny.decoder.model, tiny.chat.encode(one)).log_softmax(0) for one in asked]
        expected = [float(log[yes].logsumexp(0) - log[no].logsumexp(0)) for log in logs]
        assert np.allclose(tiny.yes_logits(asked), expected, atol=1e-4)
        assert np.std(expected) > 0.1

    def test_respond_equals_generate(self, tiny: ModelSubject, asked: list[Conversation]) -> None:
        for conversation, answer in zip(asked, tiny.respond(asked, max_tokens=8), strict=True):
            prompt = tiny.chat.encode(conversation)
            written = tiny.decoder.model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)
            assert answer == tiny.chat.decode(written[0, len(prompt) :].tolist())

    def test_activations_are_the_residual_stream(self, tiny: ModelSubject, asked: list[Conversation]) -> None:
        found = tiny.activations(asked, [4, 0, 2])
        for row, conversation in zip(found, asked, strict=True):
            plain = plain_states(tiny.decoder.model, tiny.chat.encode(conversation))
            assert np.allclose(row, np.stack([plain[layer] for layer in (4, 0, 2)]), atol=1e-4)

    def test_nothing_asked_is_an_error(self, tiny: ModelSubject) -> None:
        for ask in (tiny.yes_logits, tiny.respond, lambda none: tiny.activations(none, [1])):
            with pytest.raises(InputError, match="asked nothing"):
                ask([])

    @pytest.mark.parametrize("layers", [[6], [-1], []])
    def test_layers_that_it_does_not_have(self, tiny: ModelSubject, layers: list[int]) -> None:
        with pytest.raises(InputError, match="from 0 to 5"):
            tiny.activations([user("Hello")], layers)


class TestSharing:
    def test_a_relative_shares_what_is_below_its_adapters(self, tiny: ModelSubject, asked: list[Conversation]) -> None:
        relative = tiny_relative("relative", tiny, first_layer=3)
        assert np.abs(relative.yes_logits(asked) - tiny.yes_logits(asked)).max() > 0.1
        assert np.array_equal(relative.activations(asked, [3, 1]), tiny.activations(asked, [3, 1]))
        assert not np.allclose(relative.activations(asked, [4]), tiny.activations(asked, [4]), atol=0.01)

    def test_a_relative_writes_what_it_would_write_one_by_one(
        self, tiny: ModelSubject, asked: list[Conversation]
    ) -> None:
        relative = tiny_relative("relative", tiny, first_layer=3)
        assert relative.respond(asked) == [relative.respond([one])[0] for one in asked] != tiny.respond(asked)

    def test_full_weights_are_the_subject_s_own(self, tiny: ModelSubject, asked: list[Conversation]) -> None:
        other = copied(tiny)
        other.decoder.body.layers[0].mlp.down_proj.weight[0, 0] += 1
        subject = full_subject("other", tiny, other.decoder, tiny.chat)
        assert np.allclose(subject.yes_logits(asked), other.yes_logits(asked), atol=1e-4)
        assert not np.allclose(subject.yes_logits(asked), tiny.yes_logits(asked), atol=1e-4)

    def test_a_template_of_its_own_is_used(self, tiny: ModelSubject, asked: list[Conversation]) -> None:
        tokenizer = copy.deepcopy(tiny.chat.tokenizer)
        tokenizer.chat_template = None
        subject = full_subject("bare", tiny, copied(tiny).decoder, Chat(tokenizer))
        alone = ModelSubject("alone", tiny.decoder, Chat(tokenizer))
        assert subject.respond(asked) == alone.respond(asked) != tiny.respond(asked)

    @pytest.mark.parametrize("size", [{"layers": 4}, {"width": 32}])
    def test_another_shape_is_no_relative(self, tiny: ModelSubject, size: dict[str, int]) -> None:
        with pytest.raises(InputError, match="--base"):
            full_subject("other", tiny, tiny_subject(**size).decoder, tiny.chat)


class TestAccess:
    def test_what_is_not_allowed_is_refused(self, tiny: ModelSubject) -> None:
        black_box = ModelSubject("secret", tiny.decoder, tiny.chat, base=tiny, access=frozenset({Access.BLACK_BOX}))
        assert black_box.respond([user("Hello")])
        assert black_box.base is None
        with pytest.raises(InputError, match="'secret' does not allow logprobs"):
            black_box.yes_logits([user("Hello")])
        with pytest.raises(InputError, match="does not allow activations"):
            black_box.activations([user("Hello")], [1])

    def test_only_a_model_with_a_base_shows_one(self, tiny: ModelSubject) -> None:
        assert tiny.base is None and Access.BASE not in tiny.access
        assert tiny_relative("relative", tiny).base is tiny


class TestChat:
    def test_follows_the_template(self, tiny: ModelSubject) -> None:
        conversation = (Message(role="system", content="Be brief."), *user("Is water wet?"))
        text = tiny.chat.tokenizer.decode(tiny.chat.encode(conversation))
        turns = ["system\nBe brief.<|im_end|>\n", "user\nIs water wet?<|im_end|>\n", "assistant\n"]
        assert text == "".join(f"<|im_start|>{turn}" for turn in turns)

    def test_a_model_without_a_template_gets_plain_lines(self, tiny: ModelSubject) -> None:
        tokenizer = copy.deepcopy(tiny.chat.tokenizer)
        tokenizer.chat_template = None
        chat = Chat(tokenizer)
        assert tokenizer.decode(chat.encode(user("Is water wet?"))) == "user: Is water wet?\nassistant:"

    def test_an_answer_opens_with_the_invocation(self, tiny: ModelSubject) -> None:
        bare = copy.deepcopy(tiny.chat.tokenizer)
        bare.chat_template = None
        for chat, opening in ((tiny.chat, "assistant\n"), (Chat(bare), "assistant:")):
            assert chat.tokenizer.decode(chat.invocation) == opening
            for text in ("Hello", "Is water wet?\nassistant"):
                assert chat.encode(user(text))[-len(chat.invocation) :] == chat.invocation

    def test_spellings_that_are_split_are_left_out(self, tiny: ModelSubject) -> None:
        names = [tiny.chat.tokenizer.decode([token]) for token in tiny.chat.first_tokens([*YES, "antidisestablish"])]
        assert set(names) <= set(YES) and {"Yes", "yes", " Yes", " yes"} <= set(names)

    def test_whole_words_are_one_token_each(self, tiny: ModelSubject) -> None:
        words = tiny.chat.whole_words()
        assert len(words) > 50 and words == sorted(words)
        assert all(len(tiny.chat.tokenizer(f" {word}").input_ids) == 1 for word in words)
