"""Words of prompts, each of them one token of the tokenizer that is named.

Prompts are made of such words, so their lengths are exact without a tokenizer in the load processes.
"""

import importlib
import random
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from scalelag.errors import UsageError
from scalelag.prompts.words import WORDS

_FEWEST_WORDS = 64
_SHUFFLES = 4
_LONGEST_REASON = 200

Counter = Callable[[str], int]


class Vocabulary(msgspec.Struct, frozen=True):
    """Words of which any sequence has as many tokens as words.

    `tokenizer` is the name that was given, `library` that of the package and its version; without a
    tokenizer they are `words` and None.
    """

    words: tuple[str, ...] = WORDS
    tokenizer: str = "words"
    library: str | None = None


@lru_cache(maxsize=8)
def vocabulary(name: str | None) -> Vocabulary:
    """Return the words for the tokenizer `name`, None for plain words.

    Raises UsageError if no library has this tokenizer on this machine, or it fits no words.
    """
    if not name:
        return Vocabulary()
    library, count = _tokenizer(name)
    words = tuple(word for word in WORDS if count(word) == 1 and count(f"the {word} the") == 3)
    if len(words) < _FEWEST_WORDS:
        raise UsageError(
            f"--tokenizer {name}: only {len(words)} of {len(WORDS)} English words are one token of it, "
            "so no prompt of an exact length can be made. Leave the option out: then words are counted."
        )
    chance = random.Random(1)  # noqa: S311  no secret: the order of a check
    for _ in range(_SHUFFLES):
        text = " ".join(chance.sample(words, len(words)))
        if count(text) != len(words):
            raise UsageError(
                f"--tokenizer {name}: it joins words to other tokens (tokens: {count(text)} for "
                f"{len(words)} words), so no prompt of an exact length can be made. Leave the option "
                "out: then words are counted."
            )
    return Vocabulary(words, name, library)


def _tokenizer(name: str) -> tuple[str, Counter]:
    """Return the library that has the tokenizer `name`, and a function that counts its tokens."""
    installed = [one for one in _LOADERS if find_spec(one) is not None]
    if not installed:
        raise UsageError(
            f"--tokenizer {name}: none of {', '.join(_LOADERS)} is installed here. Install one of them "
            "beside scalelag, or leave the option out: then words are counted."
        )
    reasons: list[str] = []
    for library in installed:
        try:
            count = _LOADERS[library](name)
            count("one")
        except Exception as error:  # noqa: BLE001  foreign code raises anything
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            reasons.append(f"{library}: {reason or type(error).__name__}")
        else:
            return f"{library} {version(library)}", count
    raise UsageError(
        f"--tokenizer {name}: it cannot be loaded here, and nothing is downloaded for it "
        f"({'; '.join(reasons)}). Give the path of a tokenizer.json, or fetch it beforehand."
    )


def _of_tokenizers(name: str) -> Counter:
    tokenizers: Any = importlib.import_module("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(_tokenizer_file(name)))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _tokenizer_file(name: str) -> Path:
    """Return the tokenizer.json of a file, a folder, or a model in Hugging Face's cache."""
    path = Path(name)
    if path.is_dir():
        path /= "tokenizer.json"
    if path.is_file():
        return path
    hub: Any = importlib.import_module("huggingface_hub")
    found = hub.try_to_load_from_cache(name, "tokenizer.json")
    if isinstance(found, str):
        return Path(found)
    raise LookupError("no such file, and no such model in the cache of Hugging Face")


def _of_transformers(name: str) -> Counter:
    transformers: Any = importlib.import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, local_files_only=True)
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _of_tiktoken(name: str) -> Counter:
    tiktoken: Any = importlib.import_module("tiktoken")
    load: Any = importlib.import_module("tiktoken.load")
    if name not in tiktoken.list_encoding_names():
        name = tiktoken.encoding_name_for_model(name)
    fetch = load.read_file
    load.read_file = _refuse_to_fetch
    try:
        encoding = tiktoken.get_encoding(name)
    finally:
        load.read_file = fetch
    return lambda text: len(encoding.encode_ordinary(text))


def _refuse_to_fetch(_url: str) -> bytes:
    """Stand in for tiktoken's download, which has no time-out."""
    raise LookupError("it is not in the folder of TIKTOKEN_CACHE_DIR")


_LOADERS: dict[str, Callable[[str], Counter]] = {
    "tokenizers": _of_tokenizers,
    "transformers": _of_transformers,
    "tiktoken": _of_tiktoken,
}
