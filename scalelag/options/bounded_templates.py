"""Templates of Jinja2 that can neither run code here nor take all of its time or memory.

They may come from Locust's page, where not everybody may run code. Jinja's sandbox keeps them from the
machine; the bounds here keep a single one from freezing it: on rounds of loops and calls, on numbers,
and on texts, each for one filling-in.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jinja2
import jinja2.nodes
import jinja2.sandbox

MOST_ROUNDS = 1_000_000
"""Rounds of all loops of one filling-in; a call counts as ten."""
MOST_CHARACTERS = 16 * 1024 * 1024
_TOO_LONG = f"it makes more than {MOST_CHARACTERS:,} characters"
_CHARACTERS_PER_ROUND = 16
_ROUNDS_PER_CALL = 10  # a call takes 20 us on a slow machine, and a round of a loop 1 us
_LARGEST = 10**15
_LARGEST_WIDTH = 1_000_000


class TemplateTooLargeError(jinja2.TemplateError):
    """A template that would go on for too long, or fill too much memory."""


class BoundedTemplates(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Environment for templates from outside; `render` bounds what they do."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # it makes no HTML
        )
        self._rounds = 0
        self.filters = {name: self._bounded(made) for name, made in self.filters.items()}
        self.filters["_each_counted"] = self._counted

    def render(self, template: jinja2.Template, values: dict[str, Any]) -> str:
        """Fill in `template`. Raises TemplateTooLargeError, and whatever the template raises."""
        self._rounds = 0
        pieces: list[str] = []
        length = 0
        try:
            for piece in template.generate(values):
                length += len(piece)
                if length > MOST_CHARACTERS:
                    raise TemplateTooLargeError(_TOO_LONG)
                pieces.append(piece)
        except MemoryError as error:
            raise TemplateTooLargeError(_TOO_LONG) from error
        return "".join(pieces)

    def _parse(self, source: str, name: str | None, filename: str | None) -> jinja2.nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(jinja2.nodes.For):
            loop.iter = jinja2.nodes.Filter(loop.iter, "_each_counted", [], [], None, None)
        for text in list(tree.find_all(jinja2.nodes.Concat)):
            # `~` is no operator that the sandbox shows to anybody.
            text.nodes = [
                jinja2.nodes.Filter(node, "_each_counted_text", [], [], None, None)
                for node in text.nodes
            ]
        self.filters["_each_counted_text"] = self._checked
        return tree

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  jinja's
        """Compute, unless the result would be too large."""
        sizes = [_size(value) for value in (left, right)]
        if operator == "**" and not (_is_small(left) and _is_small(right, 64)):
            raise TemplateTooLargeError(f"{operator} makes too large a number")
        if operator == "*" and max(sizes) > 0:
            factor = next((one for one in (left, right) if isinstance(one, int)), 1)
            if max(sizes) * max(factor, 0) > MOST_CHARACTERS:
                raise TemplateTooLargeError(f"* makes more than {MOST_CHARACTERS:,} characters")
        if operator == "%" and isinstance(left, str):
            raise TemplateTooLargeError("% on texts is not taken: use ~")
        if operator == "+" and sum(sizes) > MOST_CHARACTERS:
            raise TemplateTooLargeError(f"+ makes more than {MOST_CHARACTERS:,} characters")
        return self._checked(super().call_binop(context, operator, left, right))

    def call(self, __context: Any, __obj: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401, PYI063  jinja's
        """Call what a template calls, as long as it may go on."""
        self._count(_ROUNDS_PER_CALL)
        _check_widths((*arguments, *named.values()))
        if getattr(__obj, "__name__", "") in ("format", "format_map", "translate"):
            raise TemplateTooLargeError(f"{__obj.__name__}() is not taken: use ~")
        _check_growth(getattr(__obj, "__name__", ""), (getattr(__obj, "__self__", ""), *arguments))
        return self._checked(super().call(__context, __obj, *arguments, **named))

    def _bounded(self, made: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter with the same bounds."""
        skipped = 1 if hasattr(made, "jinja_pass_arg") else 0

        def bounded(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  jinja's
            self._count()
            _check_widths((*arguments[skipped + 1 :], *named.values()))
            name = getattr(made, "__name__", "").removeprefix("do_")
            _check_growth(name, (*arguments[skipped:], *named.values()))
            return self._checked(made(*arguments, **named))

        for name in ("jinja_pass_arg", "jinja_async_variant"):
            if hasattr(made, name):
                setattr(bounded, name, getattr(made, name))
        return bounded

    def _count(self, rounds: int = 1) -> None:
        self._rounds += rounds
        if self._rounds > MOST_ROUNDS:
            raise TemplateTooLargeError(f"it goes round more than {MOST_ROUNDS:,} times")

    def _counted(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self._count()
            yield value

    def _checked(self, value: Any) -> Any:  # noqa: ANN401  any value of a template
        if _size(value) > MOST_CHARACTERS or (isinstance(value, int) and not _is_small(value)):
            raise TemplateTooLargeError("it makes too large a value")
        if isinstance(value, str):
            # Many texts are as much work as long ones: each costs a share of its length.
            self._count(len(value) // _CHARACTERS_PER_ROUND)
        return value


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple | dict) else 0


def _is_small(value: object, most: int = _LARGEST) -> bool:
    return not isinstance(value, int) or -most <= value <= most


def _check_widths(arguments: Iterable[object]) -> None:
    """Refuse numbers that could be the width or the count of something huge."""
    if not all(_is_small(one, _LARGEST_WIDTH) for one in arguments):
        raise TemplateTooLargeError(f"a number is over {_LARGEST_WIDTH:,}")


def _check_growth(name: str, arguments: Sequence[object]) -> None:
    """Refuse what makes a long text of short ones, before it is made; `name` is what is called."""
    subject, *rest = arguments or ("",)
    texts = [one for one in rest if isinstance(one, str)]
    widths = [
        len(one) if isinstance(one, str) else one for one in rest if isinstance(one, str | int)
    ]
    width = max(widths, default=0)
    if name == "replace" and isinstance(subject, str) and len(texts) > 1:
        grown = subject.count(texts[0]) * len(texts[1])
    elif name == "join":
        between, parts = (subject, rest[0]) if isinstance(subject, str) and rest else ("", subject)
        grown = _size(parts) * max(width, len(between))
    elif name in ("expandtabs", "indent") and isinstance(subject, str):
        grown = (subject.count("\t") + subject.count("\n") + 1) * width
    else:
        return
    if grown > MOST_CHARACTERS:
        raise TemplateTooLargeError(_TOO_LONG)
