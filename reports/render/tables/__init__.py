"""Tables of a report, made once for the terminal, Markdown and HTML."""
