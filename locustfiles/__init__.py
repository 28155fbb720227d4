"""Entry files to pass to `locust -f` or `scalelag run -f`; what they use is in `scalelag.users`."""

ENTRY_FILES = ("grpc_unary.py", "llm_chat.py", "stepped.py", "websocket_echo.py")
"""Files that are complete on their own: `scalelag run -f NAME` finds them from any folder."""
