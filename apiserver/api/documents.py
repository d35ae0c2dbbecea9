"""From bytes to JSON documents: JSON and YAML bodies, with the duplicates of keys in them.

A body is a document of plain dicts, lists and scalars; what a type makes of it is `decode`'s
matter. Error texts are Go's `encoding/json` and `sigs.k8s.io/yaml`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

DEPTH_MAX = 200
"""Nesting of objects and lists; what is deeper could be parsed but not printed again."""


class DocumentError(ValueError):
    """The body is not a document; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed body.

    `with_duplicates` is the same document with its objects as `Pairs`, if any key in it comes
    twice; `yaml_findings` are the equal keys of a YAML body, in the words of go-yaml.
    """

    value: Any
    with_duplicates: Any = None
    yaml_findings: tuple[str, ...] = ()


class _DuplicateKeyError(Exception):
    pass


def parse_json(body: bytes, *, find_duplicates: bool = True) -> Document:
    """Parse a JSON body. Raises DocumentError.

    Of equal keys the last one counts. Looking for duplicates costs about as much again.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _parse_slowly(body)
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        check_depth(value)
    return Document(value, _with_duplicates(body) if find_duplicates else None)


def _parse_slowly(body: bytes) -> Any:
    """What orjson refuses: name the fault in Go's words, or take what Go takes."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text, parse_int=_number, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DocumentError(_go_text(error)) from None
    except RecursionError:
        raise DocumentError("exceeded max depth") from None
    return _without_surrogates(value)


def _number(digits: str) -> int | float:
    """An integer as orjson reads it: beyond 64 bits it is a float."""
    return int(digits) if len(digits) < 19 else float(digits)


def _refuse_constant(name: str) -> Any:
    raise DocumentError(f"invalid character '{name.lstrip('-')[0]}' looking for beginning of value")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(r"[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(v) for key, v in value.items()}
    return value


_GO_CONTEXT = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": (
        "looking for beginning of object key string"
    ),
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
}


def _go_text(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    char = error.doc[error.pos]
    message = error.msg.removesuffix(": ")
    if message == "Expecting ',' delimiter":
        opened = _innermost_bracket(error.doc[: error.pos])
        context = "after array element" if opened == "[" else "after object key:value pair"
    else:
        context = _GO_CONTEXT.get(message, "looking for beginning of value")
    return f"invalid character {_go_rune(char)} {context}"


def _go_rune(char: str) -> str:
    escapes = {"'": r"'\''", "\n": r"'\n'", "\r": r"'\r'", "\t": r"'\t'"}
    if char in escapes:
        return escapes[char]
    return f"'{char}'" if char.isprintable() else f"'\\x{ord(char):02x}'"


def _innermost_bracket(text: str) -> str:
    stack: list[str] = []
    for token in re.findall(r'"(?:\\.|[^"\\])*"|[\[\]{}]', text):
        if token in "[{":
            stack.append(token)
        elif token in "]}" and stack:
            stack.pop()
    return stack[-1] if stack else ""


def check_depth(value: Any) -> None:
    """Refuse what is nested deeper than DEPTH_MAX. Raises DocumentError."""
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise DocumentError(f"exceeded max depth of {DEPTH_MAX}")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


class Pairs(list[tuple[str, Any]]):
    """A JSON object with all its pairs, equal keys included."""


def _with_duplicates(body: bytes) -> Any:
    text = body.decode("utf-8", "replace")
    try:
        json.loads(text, parse_int=float, object_pairs_hook=_refuse_duplicates)
    except _DuplicateKeyError:
        return json.loads(text, parse_int=float, object_pairs_hook=Pairs)
    except RecursionError:
        raise DocumentError("exceeded max depth") from None
    return None


def parse_yaml(body: bytes) -> Document:
    """Parse a YAML body (one document) as `sigs.k8s.io/yaml` does. Raises DocumentError."""
    from apiserver.api.yaml_documents import load_yaml

    value, findings = load_yaml(body)
    check_depth(value)
    return Document(value, None, findings)
