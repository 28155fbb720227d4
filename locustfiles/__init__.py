"""What people pass to `locust -f`: entry files, users, shapes and arrivals."""

ENTRY_FILES = ("llm_chat.py", "stepped.py")
"""Files here that are complete: `scalelag run -f NAME` finds them from anywhere."""
