"""Options and plans of prompts, for several files of tests."""

from typing import Any

from scalelag.options.run_options import RunOptions, run_options
from scalelag.prompts.asks import Asks
from scalelag.prompts.plan import PromptPlan

BODY = '{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "stream": true}'


def asked(**options: Any) -> RunOptions:
    return run_options({"json_body": BODY, "steps": "10rps:9s", **options}, makes_prompts=True)


def plan_of(**options: Any) -> PromptPlan:
    plan = asked(**options).prompts
    assert plan is not None
    return plan


def words_of(asks: Asks, own: int, said: int = 0) -> list[str]:
    prompt = asks.prompt(asks.number_of(own), own, asks.turn_of(own), said)
    assert prompt is not None
    words = prompt.text.decode().split(" ")
    assert len(words) == prompt.tokens
    return words


def with_trace(path: str, **options: Any) -> RunOptions:
    return run_options({"json_body": BODY, "trace": path, **options}, makes_prompts=True)
