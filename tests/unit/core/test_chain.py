"""The chain of the audit: what was changed, taken away or put elsewhere is found."""

from dataclasses import replace

import pytest

from server.core import chain
from server.core.chain import Broken, Checkpoint, Link

KEY = b"a key of the tests"


def made(key: bytes = KEY, count: int = 5) -> list[Link]:
    """A chain as it is sealed."""
    links, before = [], chain.BEGINNING
    for n in range(1, count + 1):
        bare = Link(n, n * 1000, "li", "access_looked_at", {"flat_id": n, "why": "水漫"})
        before = chain.digest(key, before, bare)
        links.append(replace(bare, digest=before))
    return links


def test_an_untouched_chain_holds() -> None:
    """It ends where it was sealed, and an empty one ends where it began."""
    links = made()
    assert chain.verify(KEY, links) == Checkpoint(5, links[-1].digest)
    assert chain.verify(KEY, []) == Checkpoint()
    assert chain.verify(KEY, links, Checkpoint()) == Checkpoint(5, links[-1].digest)
    assert chain.verify(KEY, links, Checkpoint(3, links[2].digest)) == Checkpoint(
        5, links[-1].digest
    )


LINKS = made()
CASES: dict[str, tuple[list[Link], Broken]] = {
    "another person": ([*LINKS[:2], replace(LINKS[2], who="wang"), *LINKS[3:]],
                       Broken(3, "changed")),
    "another reason": ([*LINKS[:1], replace(LINKS[1], about={}), *LINKS[2:]], Broken(2, "changed")),
    "another time": ([replace(LINKS[0], at_ms=1), *LINKS[1:]], Broken(1, "changed")),
    "one taken away": ([*LINKS[:2], *LINKS[3:]], Broken(3, "missing")),
    "the first taken away": (LINKS[1:], Broken(1, "missing")),
    "taken away and renumbered": (
        [*LINKS[:2], *(replace(x, position=x.position - 1) for x in LINKS[3:])],
        Broken(3, "changed")),
    "two exchanged": ([LINKS[0], replace(LINKS[2], position=2), replace(LINKS[1], position=3)],
                      Broken(2, "changed")),
    "sealed by somebody without the key": (made(b"another key"), Broken(1, "changed")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_was_touched_is_found(name: str) -> None:
    """At its place, with what is wrong."""
    links, broken = CASES[name]
    assert chain.verify(KEY, links) == broken


def test_a_cut_end_shows_against_a_checkpoint() -> None:
    """Without one nobody can know; with one the missing end, or another chain, is found."""
    known = Checkpoint(5, LINKS[-1].digest)
    assert chain.verify(KEY, LINKS[:3]) == Checkpoint(3, LINKS[2].digest)
    assert chain.verify(KEY, LINKS[:3], known) == Broken(4, "cut_off")
    other = Checkpoint(2, "f" * 64)
    assert chain.verify(KEY, LINKS, other) == Broken(2, "other_chain")


def test_a_checkpoint_is_written_and_read() -> None:
    """As it is printed; anything else is refused with the form."""
    known = Checkpoint(5, LINKS[-1].digest)
    assert Checkpoint.parse(f" {known}\n") == known
    for wrong in ("", "5", "x:" + "0" * 64, "5:abc"):
        with pytest.raises(ValueError, match="looks like"):
            Checkpoint.parse(wrong)
