"""Tokenizers by name, of libraries that are there or not: stand-ins count what real ones would."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from scalelag.errors import UsageError
from scalelag.prompts import vocabulary as module
from scalelag.prompts.vocabulary import Vocabulary, vocabulary
from scalelag.prompts.words import WORDS

LIBRARIES = ("tokenizers", "transformers", "tiktoken")


@pytest.fixture(autouse=True)
def no_cache():
    vocabulary.cache_clear()
    yield
    vocabulary.cache_clear()


@pytest.fixture
def installed(monkeypatch):
    """Makes modules the only libraries of tokenizers that are there."""

    def install(**modules: ModuleType) -> None:
        found = importlib.util.find_spec
        monkeypatch.setattr(
            module,
            "find_spec",
            lambda name: modules.get(name) if name in LIBRARIES else found(name),
        )
        monkeypatch.setattr(module, "version", lambda _name: "9.1")
        for name, made in modules.items():
            monkeypatch.setitem(sys.modules, name, made)

    return install


def of_words(text: str) -> int:
    return len(text.split())


def of_long_words_twice(text: str) -> int:
    return sum(2 if len(word) > 4 else 1 for word in text.split())


def tiktoken(count: Any = of_words, names: tuple[str, ...] = ("enc",)) -> dict[str, Any]:
    """A stand-in with one encoding, and one model that has it."""
    made, load = ModuleType("tiktoken"), ModuleType("tiktoken.load")
    vars(load)["read_file"] = lambda _url: b""

    def get_encoding(name: str) -> Any:
        if name not in names:
            sys.modules["tiktoken.load"].read_file("http://far.away")
        return SimpleNamespace(encode_ordinary=lambda text: [0] * count(text))

    vars(made).update(
        list_encoding_names=lambda: ["enc", "far"],
        encoding_name_for_model={"gpt-x": "enc"}.__getitem__,
        get_encoding=get_encoding,
        load=load,
    )
    return {"tiktoken": made, "tiktoken.load": load}


def test_without_a_name_words_are_counted():
    assert vocabulary(None) == vocabulary("") == Vocabulary(WORDS, "words", None)


def test_without_a_library_the_message_says_what_to_install(installed):
    installed()

    with pytest.raises(UsageError, match="none of tokenizers, transformers, tiktoken is installed"):
        vocabulary("gpt-x")


@pytest.mark.parametrize("name", ["enc", "gpt-x"])
def test_an_encoding_or_a_model_of_tiktoken_is_found(installed, name):
    installed(**tiktoken())

    assert vocabulary(name) == Vocabulary(WORDS, name, "tiktoken 9.1")


def test_only_words_that_are_one_token_are_taken(installed):
    installed(**tiktoken(of_long_words_twice))

    assert set(vocabulary("enc").words) == {word for word in WORDS if len(word) <= 4}


def test_nothing_is_downloaded(installed):
    made = tiktoken()
    installed(**made)
    fetch = made["tiktoken.load"].read_file

    with pytest.raises(UsageError, match=r"nothing is downloaded for it .*TIKTOKEN_CACHE_DIR"):
        vocabulary("far")
    assert made["tiktoken.load"].read_file is fetch


def test_an_unknown_name_is_told_with_the_reason_of_each_library(installed):
    transformers = ModuleType("transformers")

    def from_pretrained(name: str, *, local_files_only: bool) -> Any:
        assert local_files_only
        raise OSError(f"{name} is\nno model")

    vars(transformers)["AutoTokenizer"] = SimpleNamespace(from_pretrained=from_pretrained)
    installed(transformers=transformers, **tiktoken())

    with pytest.raises(UsageError) as caught:
        vocabulary("nobody/nothing")

    assert "transformers: nobody/nothing is no model; tiktoken: 'nobody/nothing'" in str(
        caught.value
    )


def test_a_file_of_tokenizers_is_read(installed, tmp_path):
    tokenizers = ModuleType("tokenizers")

    def from_file(path: str) -> Any:
        assert path == str(tmp_path / "tokenizer.json")
        return SimpleNamespace(
            encode=lambda text, add_special_tokens: SimpleNamespace(
                ids=[0] * (of_words(text) + add_special_tokens)
            )
        )

    vars(tokenizers)["Tokenizer"] = SimpleNamespace(from_file=from_file)
    installed(tokenizers=tokenizers)
    (tmp_path / "tokenizer.json").write_text("{}")

    assert vocabulary(str(tmp_path)).library == "tokenizers 9.1"
    assert vocabulary(str(tmp_path / "tokenizer.json")).words == WORDS


def test_a_tokenizer_that_has_no_whole_words_is_refused(installed):
    installed(**tiktoken(len))

    with pytest.raises(UsageError, match=r"only \d+ of \d+ English words are one token"):
        vocabulary("enc")


def test_a_tokenizer_that_joins_words_is_refused(installed):
    installed(**tiktoken(lambda text: min(9, of_words(text))))

    with pytest.raises(UsageError, match="it joins words to other tokens"):
        vocabulary("enc")
