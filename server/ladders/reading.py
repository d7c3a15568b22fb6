"""From a YAML text to ladders, or to a list of what is wrong with it, each with its line.

Works on YAML's node tree: no Python object is ever built from a file. All errors are told at once,
and each says what to write instead. It never reads a clock or the register.
"""

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import yaml

from server.core.ladder import Ladder, Policy, Step, Target
from server.core.words import Channel

MOST_BYTES = 256 * 1024
MOST_STEPS = 20
LONGEST_S = 24 * 60 * 60
SOS_TO_DUTY_S = 15 * 60
"""From press to a person at the door: in Guangdan 15 minutes later would have been too late."""
UNITS = {"s": 1, "min": 60, "h": 3600}
DURATION = re.compile(r"([0-9]{1,6}) *(s|min|h)")


class Broken(ValueError):
    """A ladder file can't be used; `problems` has one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Book:
    """All ladders of one edition. `version`: the file's own number and a hash of its bytes."""

    ladders: Mapping[str, Ladder]
    version: str


@dataclass(slots=True)
class _Reader:
    """Walks the tree, collecting what is wrong. `None` from a method: it has been said."""

    name: str
    problems: list[tuple[int, str]] = field(default_factory=list)

    def wrong(self, node: yaml.Node, what: str) -> None:
        """Something at this node is wrong."""
        self.problems.append((node.start_mark.line + 1, what))

    def mapping(
        self, node: yaml.Node | None, what: str, known: tuple[str, ...],
        optional: tuple[str, ...] = (),
    ) -> dict[str, yaml.Node]:
        """A mapping that should have exactly the `known` keys (and may have the `optional` ones):
        those of them that it has."""
        found: dict[str, yaml.Node] = {}
        if node is None:
            return found
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"{what} must be a mapping; write {' and '.join(known)} under it")
            return found
        meant: set[str] = set()  # misspelt: said once, not also as missing
        needed, known = known, known + optional
        for key, value in node.value:
            word = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if word not in known:
                self.wrong(key, f"unknown {word!r} in {what}; {_instead(word, known)}")
                meant.update(difflib.get_close_matches(word, known, 1))
            elif word in found:
                self.wrong(key, f"{word!r} stands twice in {what}; keep one of them")
            else:
                found[word] = value
        missing = [k for k in needed if k not in found and k not in meant]
        if missing:
            self.wrong(node, f"{what} has no {', '.join(missing)}; add it")
        return found

    def seconds(self, node: yaml.Node | None, what: str) -> int | None:
        """A length of time with its unit."""
        if node is None:
            return None
        match = DURATION.fullmatch(node.value) if isinstance(node, yaml.ScalarNode) else None
        if match is None:
            said = repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            self.wrong(node, f"{what} is {said}; write a number and a unit: 90 s, 2 min or 1 h")
            return None
        seconds = int(match[1]) * UNITS[match[2]]
        if not 1 <= seconds <= LONGEST_S:
            self.wrong(node, f"{what} is {node.value}; write from 1 s to 24 h")
            return None
        return seconds

    def targets(self, node: yaml.Node | None) -> tuple[Target, ...] | None:
        """Whom a step tells."""
        if node is None:
            return None
        words = tuple(Target)
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.wrong(node, f"tell must be a list of people; write tell: [{words[0]}]")
            return None
        found: list[Target] = []
        for item in node.value:
            word = item.value if isinstance(item, yaml.ScalarNode) else "?"
            if word not in words:
                self.wrong(item, f"nobody is called {word!r}; {_instead(word, words)}")
            elif word in found:
                self.wrong(item, f"{word!r} stands twice in one step; keep one of them")
            else:
                found.append(Target(word))
        return tuple(found) if len(found) == len(node.value) else None

    def channels(self, node: yaml.Node | None) -> tuple[Channel, ...] | None:
        """How a step tells; by SMS where nothing is said."""
        if node is None:
            return (Channel.SMS,)
        words = tuple(Channel)
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.wrong(node, f"by must be a list of channels; write by: [{', '.join(words)}]")
            return None
        found: list[Channel] = []
        for item in node.value:
            word = item.value if isinstance(item, yaml.ScalarNode) else "?"
            if word not in words:
                self.wrong(item, f"there is no channel {word!r}; {_instead(word, words)}")
            elif word in found:
                self.wrong(item, f"{word!r} stands twice in one step; keep one of them")
            else:
                found.append(Channel(word))
        return tuple(found) if len(found) == len(node.value) else None

    def step(self, node: yaml.Node, what: str) -> Step | None:
        """One step."""
        found = self.mapping(node, what, ("tell", "wait"), optional=("by",))
        targets = self.targets(found.get("tell"))
        channels = self.channels(found.get("by"))
        wait_s = self.seconds(found.get("wait"), f"the wait of {what}")
        return Step(targets, wait_s, channels) if targets and wait_s and channels else None

    def steps(self, node: yaml.Node | None, policy: Policy) -> tuple[Step, ...] | None:
        """All steps of a ladder. A ladder that can end without a human on duty is refused."""
        if node is None:
            return None
        if not isinstance(node, yaml.SequenceNode) or not 1 <= len(node.value) <= MOST_STEPS:
            self.wrong(node, f"steps of {policy} must be a list of 1 to {MOST_STEPS}; "
                             "write - tell: [duty] and wait: 2 min")  # fmt: skip
            return None
        steps = [self.step(n, f"step {i} of {policy}") for i, n in enumerate(node.value, 1)]
        if None in steps:
            return None
        whole = tuple(s for s in steps if s is not None)
        if Target.DUTY not in whole[-1].targets:
            self.wrong(node.value[-1], f"{policy} can end without a human on duty; "
                                       "add duty to the last step's tell")  # fmt: skip
            return None
        before = next(i for i, s in enumerate(whole) if Target.DUTY in s.targets)
        waited_s = sum(s.wait_s for s in whole[:before])
        if policy is Policy.SOS and waited_s > SOS_TO_DUTY_S:
            self.wrong(node.value[before], f"duty hears of an SOS only after {waited_s // 60} min; "
                                           "shorten the waits before it to 15 min together")
            return None
        return whole

    def ladder(self, node: yaml.Node | None, policy: Policy, version: str) -> Ladder | None:
        """One ladder."""
        found = self.mapping(node, policy, ("lease", "on_scene", "steps"))
        lease_s = self.seconds(found.get("lease"), f"the lease of {policy}")
        on_scene_s = self.seconds(found.get("on_scene"), f"on_scene of {policy}")
        steps = self.steps(found.get("steps"), policy)
        if lease_s is None or on_scene_s is None or steps is None:
            return None
        return Ladder(steps, lease_s, on_scene_s, version)

    def book(self, root: yaml.Node | None, digest: str) -> Book | None:
        """The whole file."""
        if root is None:
            self.problems.append((1, "the file is empty; copy server/ladders/default.yaml"))
            return None
        found = self.mapping(root, "the file", ("version", "ladders"))
        number = self.number(found.get("version"))
        version = f"{number}-{digest[:8]}"
        each = self.mapping(found.get("ladders"), "ladders", tuple(Policy))
        ladders = {p.value: self.ladder(each.get(p), p, version) for p in Policy}
        if self.problems:
            return None
        return Book({p: ladder for p, ladder in ladders.items() if ladder is not None}, version)

    def number(self, node: yaml.Node | None) -> str:
        """The file's own number."""
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if re.fullmatch("[1-9][0-9]{0,5}", value):
            return str(value)
        if node is not None:
            self.wrong(node, "version must be a whole number; write version: 2 after 1")
        return "?"


def _instead(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"write {near[0]}" if near else f"write one of {', '.join(known)}"


@lru_cache(maxsize=4)
def read(raw: bytes, name: str) -> Book:
    """The ladders that a file's bytes describe; `name` stands before each line number. The same
    bytes are read once: at a start the built-in file is asked for twice.

    Raises Broken with every problem, in order of lines.
    """
    if len(raw) > MOST_BYTES:
        raise Broken([f"{name}:1: the file is over {MOST_BYTES // 1024} KiB; it is no ladder file"])
    reader = _Reader(name)
    book = None
    try:
        root = yaml.compose(raw.decode(), Loader=yaml.SafeLoader)
        book = reader.book(root, hashlib.sha256(raw).hexdigest())
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        reader.problems.append((line, "not UTF-8; save the file as UTF-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reader.problems.append((mark.line + 1 if mark else 1,
                                f"not YAML ({error.problem}); mend quotes, colons and indents"))
    except yaml.YAMLError as error:  # a character that YAML does not allow
        said = str(error).splitlines()[0]
        reader.problems.append((1, f"not YAML ({said}); take that character out"))
    except RecursionError:
        reader.problems.append((1, "nested too deeply; copy server/ladders/default.yaml"))
    if book is None:
        raise Broken([f"{name}:{line}: {what}" for line, what in sorted(reader.problems)])
    return book
