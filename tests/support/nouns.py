"""Nouns that stand beside numbers in reports and messages."""

NOUNS = (
    *("applications", "attempts", "bundles", "conversations", "decisions", "deployments", "errors"),
    *("events", "exceptions", "failures", "files", "gaps", "gates", "lines", "messages", "models"),
    *("movements", "nodes", "polls", "processes", "prompts", "replicas", "requests", "restarts"),
    *("retries", "reversals", "rows", "runs", "seconds", "slots", "stages", "steps", "times"),
    *("tokens", "turns", "users", "warnings", "workers"),
)
