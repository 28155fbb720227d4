"""What people pass to `locust -f`: entry files, users, shapes and arrivals."""

ENTRY_FILES = ("grpc_unary.py", "llm_chat.py", "stepped.py", "websocket_echo.py")
"""Files here that are complete: `scalelag run -f NAME` finds them from anywhere."""
