"""Chats on an OpenAI-style endpoint: `locust -f locustfiles/llm_chat.py --host URL --dashboard URL`.

`--steps` sets the load. `--json-body` (or `--body-file`) sets the chat, and must ask for a stream.
"""

from scalelag.users import ChatUser, StepShape, attach

__all__ = ["LlmChatUser", "StepShape"]

attach(
    name="llm-chat",
    path="/v1/chat/completions",
    method="POST",
    json_body='{"model": "default", "messages": [{"role": "user", "content": "Say hello."}], '
    '"max_tokens": 64, "stream": true, "stream_options": {"include_usage": true}}',
)


class LlmChatUser(ChatUser):
    """Sends the chat of the options at each arrival of the plan."""
