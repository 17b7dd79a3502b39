"""YAML text to plain values and back, by the rules of YAML 1.2 for scalars.

PyYAML follows YAML 1.1, where `5e-4` is text, `no` is false and `12:30` a number; a recipe means 0.0005, "no", "12:30".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from recipes.errors import UserError

_FLOAT = re.compile(
    r"^[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$"
    r"|^\.(?:nan|NaN|NAN)$"
)
_SCALARS = {
    "null": (re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    "int": (re.compile(r"^[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    "float": (_FLOAT, list("-+.0123456789")),
    "merge": (re.compile(r"^<<$"), ["<"]),
}


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 scalars; refuses keys that are given twice or are not text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith((":str", ":merge")):
                raise ConstructorError(None, None, f"the key {getattr(key, 'value', '?')} must be text", key.start_mark)
            if key.value in seen:
                raise ConstructorError(None, None, f"the key {key.value} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=True)


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes text which YAML 1.2 reads as a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1
# built at once instead of in two steps, so that an alias inside its own anchor is an error and not an endless value
_Loader.add_constructor("tag:yaml.org,2002:seq", _sequence)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def parse_value(text: str) -> Any:
    """The value of `key=text`. Raises ValueError with a one-line reason."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from None


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError with file and line if it is malformed or not a mapping."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8 text") from None
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line_text = f", line {mark.line + 1}" if mark is not None else ""
        raise UserError(f"{path}{line_text}: {_reason(error)}") from None
    if content is not None and not isinstance(content, dict):
        raise UserError(f"{path}, line 1: must hold `key: value` lines, got {shown(content)}")
    return content or {}


def _reason(error: yaml.YAMLError) -> str:
    parts = [getattr(error, "context", None), getattr(error, "problem", None) or getattr(error, "reason", None)]
    return ", ".join(part for part in parts if part) or str(error).replace("\n", " ")


def write(content: dict[str, Any]) -> str:
    """YAML text that `read_mapping` and any YAML reader read back as the same values."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def shown(value: Any, limit: int = 60) -> str:
    """A value on one line as one would type it, cut at `limit` characters."""
    text = value.replace("\n", "\\n") if isinstance(value, str) else ""
    if not isinstance(value, str):
        text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10_000, sort_keys=False)
        text = text.removesuffix("\n").removesuffix("\n...")
    return text if len(text) <= limit else text[: limit - 3] + "..."
