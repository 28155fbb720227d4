"""Chats on an OpenAI-style endpoint: `locust -f locustfiles/llm_chat.py --host URL --dashboard URL`.

`--steps` says how many; `--json-body` (or `--body-file`) says what, and must ask for a stream.
"""

from scalelag.packages import exit_if_shadowed

exit_if_shadowed()

from scalelag.plugin.attach import attach  # noqa: E402  after the check
from scalelag.users.shape import StepShape  # noqa: E402  after the check
from scalelag.users.streaming import ChatUser  # noqa: E402  after the check

__all__ = ["LlmChatUser", "StepShape"]

attach(
    name="llm-chat",
    path="/v1/chat/completions",
    method="POST",
    json_body='{"model": "default", "messages": [{"role": "user", "content": "Say hello."}], '
    '"max_tokens": 64, "stream": true, "stream_options": {"include_usage": true}}',
)


class LlmChatUser(ChatUser):
    """Asks what the options say, as the plan says."""
