"""Options of prompts for language models: their lengths, shared prefixes and sessions."""

from scalelag.options.checks import at_least, parse_header_name
from scalelag.options.option import Option
from scalelag.prompts.info import SESSION_HEADER
from scalelag.prompts.token_range import parse_tokens

_SECTION = "Prompts"

PROMPT_OPTIONS: tuple[Option, ...] = (
    Option(
        "--prompt-tokens",
        "Prompt tokens",
        _SECTION,
        "Tokens of each prompt, such as 200 or 100..400. Default: those of the trace, or the body's.",
        parse=parse_tokens,
    ),
    Option(
        "--max-tokens",
        "Answer tokens",
        _SECTION,
        "Tokens of each answer to ask for, such as 64 or 16..256. Default: those of the trace, or the "
        "body's.",
        parse=parse_tokens,
    ),
    Option(
        "--tokenizer",
        "Tokenizer",
        _SECTION,
        "Tokenizer that counts them: a model, an encoding of tiktoken, or a tokenizer.json. Default: "
        "words are counted.",
        names="code",
    ),
    Option(
        "--prefix-groups",
        "Groups of prompts",
        _SECTION,
        "Number of groups of prompts; those of one group begin with the same --prefix-tokens.",
        "int",
        parse=at_least(1, "groups"),
    ),
    Option(
        "--prefix-tokens",
        "Shared prefix tokens",
        _SECTION,
        "Tokens at the beginning of each prompt that its group shares.",
        "int",
        parse=at_least(1, "tokens"),
    ),
    Option(
        "--sessions",
        "Sessions",
        _SECTION,
        "Conversations at the same time; a turn is sent after the answer before it. 0: none, also of a "
        "trace.",
        "int",
        parse=at_least(0, "sessions"),
    ),
    Option(
        "--turns",
        "Turns of a session",
        _SECTION,
        "Turns of each conversation; then a new one begins. Default: 5, or as the trace has them.",
        "int",
        parse=at_least(1, "turns"),
    ),
    Option(
        "--session-header",
        "Session header",
        _SECTION,
        "Header with the id of the conversation.",
        default=SESSION_HEADER,
        parse=parse_header_name,
    ),
)
