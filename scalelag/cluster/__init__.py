"""The cluster under test: preflight, deployment, and the embedded cluster."""
