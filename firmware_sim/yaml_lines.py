"""YAML whose mappings know their line, and a reader that complains with file and line.

It knows nothing of scenarios but the name of their error, and never builds Python objects from
tags: the loader is a SafeLoader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

LINE_KEY: Final = "__line__"


class ScenarioError(ValueError):
    """A scenario can't be used: "file:line: what is wrong"."""


class LineLoader(yaml.SafeLoader):
    """YAML whose mappings know their line."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} stands there twice", problem_mark=node.start_mark
                )
        mapping = super().construct_mapping(node, deep=deep)
        mapping[LINE_KEY] = node.start_mark.line + 1
        return mapping


@dataclass(slots=True)
class Reader:
    """Takes keys out of a mapping and complains with file and line."""

    file: str
    raw: dict[str, Any]
    line: int

    @classmethod
    def of(cls, file: str, value: object, line: int, what: str) -> Reader:
        if not isinstance(value, dict):
            raise ScenarioError(f"{file}:{line}: {what} must be a mapping, not {value!r}")
        line = value.get(LINE_KEY, line)
        return cls(file, {k: v for k, v in value.items() if k != LINE_KEY}, line)

    def fail(self, problem: str) -> ScenarioError:
        return ScenarioError(f"{self.file}:{self.line}: {problem}")

    def sub(self, key: str) -> Reader:
        return Reader.of(self.file, self.raw.pop(key), self.line, key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.raw.pop(key, default)
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise self.fail(f"{key!r} must be text, not {value!r}")
        return str(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self.raw.pop(key, default)
        # In YAML 1.2, which editors read, a bare `on` is a text: both mean the same here.
        value = {"on": True, "off": False}.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise self.fail(f"{key!r} must be on or off, not {value!r}")
        return value

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in known:
            raise self.fail(f"{key!r} is one of {', '.join(known)}, not {value!r}")
        return value

    def number(self, key: str) -> float | None:
        value = self.raw.pop(key, None)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise self.fail(f"{key!r} must be a number, not {value!r}")
        return value

    def whole(self, key: str, default: int | None = None) -> int | None:
        value = self.raw.pop(key, default)
        if value is not None and type(value) is not int:
            raise self.fail(f"{key!r} must be a whole number, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw.pop(key, [])
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) for each in listed):
            raise self.fail(f"{key!r} must be text or a list of texts, not {value!r}")
        return tuple(listed)

    def groups(self, key: str) -> tuple[tuple[str, ...], ...]:
        """["a", ["b", "c"]]: a, and one of b and c."""
        value = self.raw.pop(key, [])
        listed = value if isinstance(value, list) else [value]
        groups = [each if isinstance(each, list) else [each] for each in listed]
        if not all(isinstance(one, str) for group in groups for one in group):
            raise self.fail(f"{key!r} must hold texts or lists of texts, not {value!r}")
        return tuple(tuple(group) for group in groups)

    def done(self) -> None:
        if self.raw:
            raise self.fail(f"unknown {', '.join(map(repr, sorted(self.raw, key=str)))}")
