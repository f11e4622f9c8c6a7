"""JSON of any length, read piece by piece: every object of a list as soon as it is complete.

``kubectl get -o json`` gives one list with ``items``, ``az ... list`` an array, a single object
stands alone, and several of them may follow one another. ijson tells the parts, so that neither a
file without line ends nor a thousand nested brackets costs memory or the stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lbbench.errors import InputError

MAX_DEPTH = 60
MAX_VALUES = 500_000
"""Most values of one object; etcd keeps none above 1.5 MiB, a cloud load balancer has thousands."""

LONGEST_STRING = 3  # pieces (MiB) without a quotation mark; then no string or number is that long


class Part(NamedTuple):
    """One object of a file, and the ``kind`` of the list around it, as far as told before."""

    data: dict[str, Any]
    list_kind: str


def json_parts(pieces: Iterable[bytes], name: str) -> Iterator[Part]:
    """Yield the objects of a JSON text; ``name`` is the file for messages.

    Raises
    ------
    InputError
        When it is no JSON, ends too early, is nested too deeply or too large to be a dump.
    """
    import ijson

    count = 0
    try:
        events = ijson.basic_parse(_Stream(pieces, name), multiple_values=True, use_float=True)
        for part in _assembled(events, name):
            count += 1
            yield part
    except ijson.IncompleteJSONError as error:
        told = _first_line(error)
        if " error" in told and "premature EOF" not in told:
            raise InputError(
                f"{name}: no valid JSON after {count} objects ({told}); save it again"
            ) from None
        raise InputError(
            f"{name}: truncated JSON, it ends after {count} whole objects; save it again"
        ) from None
    except (ijson.JSONError, ValueError, OverflowError) as error:
        raise InputError(
            f"{name}: no valid JSON after {count} objects ({_first_line(error)}); save it again"
        ) from None


class _Stream:
    """Pieces of bytes as a file that ijson reads."""

    def __init__(self, pieces: Iterable[bytes], name: str) -> None:
        self.pieces = iter(pieces)
        self.name = name
        self.rest = b""
        self.unquoted = 0
        self.escaped = False

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        if not self.rest:
            self.rest = next(self.pieces, b"")
            self._bound(self.rest)
        out, self.rest = (self.rest, b"") if size < 0 else (self.rest[:size], self.rest[size:])
        return out

    def _bound(self, piece: bytes) -> None:
        """Stop a string or number that would have to be held whole."""
        bare = piece[1:] if self.escaped else piece
        stripped = bare.replace(b"\\\\", b"")
        self.escaped = stripped.endswith(b"\\")
        if len(piece) < 1 << 16 or b'"' in stripped.replace(b'\\"', b""):
            self.unquoted = 0
            return
        self.unquoted += 1
        if self.unquoted >= LONGEST_STRING:
            raise InputError(
                f"{self.name}: a value is longer than {LONGEST_STRING - 1} MiB, which no object of "
                "a cluster has; save the output of kubectl or az again"
            )


def _assembled(events: Iterable[tuple[str, Any]], name: str) -> Iterator[Part]:
    """Build the values; what is complete at the top, in a top array or in ``items`` is a part."""
    stack: list[Any] = []
    keys: list[str] = []
    values = 0
    for event, value in events:
        if event == "map_key":
            keys[-1] = value
            continue
        if event in ("start_map", "start_array"):
            if len(stack) >= MAX_DEPTH:
                raise InputError(
                    f"{name}: nested deeper than {MAX_DEPTH} levels, as no output of kubectl or az "
                    "is; save it again"
                )
            stack.append({} if event == "start_map" else [])
            keys.append("")
            continue
        if event in ("end_map", "end_array"):
            value = stack.pop()  # noqa: PLW2901  (the value that is complete now)
            keys.pop()
        values += 1
        if _is_part(stack, keys):
            values = 0
            if event == "end_array" and not stack:
                continue  # an array of objects that were given out one by one
            if not isinstance(value, dict):
                raise InputError(
                    f"{name}: holds {_shown(value)} where an object is expected; "
                    "save the output of kubectl or az with -o json"
                )
            around = stack[0] if stack and isinstance(stack[0], dict) else {}
            yield Part(value, str(around.get("kind", "")))
            continue
        if values > MAX_VALUES:
            raise InputError(
                f"{name}: one object has more than {MAX_VALUES} values, as none of a cluster has; "
                "save the output of kubectl or az again"
            )
        if isinstance(stack[-1], dict):
            stack[-1][keys[-1]] = value
        else:
            stack[-1].append(value)


def _is_part(stack: list[Any], keys: list[str]) -> bool:
    if not stack:
        return True
    if len(stack) == 1:
        return isinstance(stack[0], list)
    return len(stack) == 2 and isinstance(stack[1], list) and keys[0] == "items"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:120]
