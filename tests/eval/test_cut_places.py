"""Where the first tokens of a thought end in its text."""

from __future__ import annotations

from eval.cut_places import characters_after
from tests.data_prep.tokenizers import qwen_like
from tests.eval.worlds import nano_tokenizer


def test_the_text_of_the_first_tokens_ends_where_they_end() -> None:
    tokenizer = nano_tokenizer()
    ids = tokenizer.encode("#1 +3\n#2", add_special_tokens=False)
    text = str(tokenizer.decode(ids))
    places = characters_after(range(len(ids) + 2), ids, text, tokenizer)
    assert [text[: places[count]] for count in range(len(ids))] == [
        str(tokenizer.decode(ids[:n])) for n in range(len(ids))
    ]
    assert places[len(ids)] == places[len(ids) + 1] == len(text)


def test_a_character_that_a_cut_divides_comes_after_it() -> None:
    text = "aé√b"  # of 1, 2, 3 and 1 bytes, which are the tokens of this tokenizer
    places = characters_after(range(8), list(text.encode()), text, qwen_like())
    assert places == {0: 0, 1: 1, 2: 1, 3: 2, 4: 2, 5: 2, 6: 3, 7: 4}


def test_a_replacement_sign_of_the_model_itself_is_a_character() -> None:
    text = "\ufffda√"
    places = characters_after([3, 4, 5], list(text.encode()), text, qwen_like())
    assert places == {3: 1, 4: 2, 5: 2}


def test_a_place_that_is_not_exact_is_unknown() -> None:
    # as after a decoder that removes the blank before a full stop, once it has seen it
    assert characters_after([2], list(b"a ."), "a.", qwen_like()) == {2: None}
