"""Who comes next in a lane."""

from gateway.batch import MAX_BATCH_BYTES, Entry
from gateway.delivery import Received
from gateway.waiting import AsTheyCame, ByTurns, Waiting


def entry(t: str, n: int) -> Entry:
    """The nth press of a terminal."""
    body = {"t": t, "seq": n}
    return Entry("signals", body, Received(f"xunlou/v1/t/{t}/evt/sos", b"", False, 1, n, 1), 0.0)


def said(batch: list[Entry]) -> list[str]:
    """Short for a batch."""
    return [f"{e.body['t']}{e.body['seq']}" for e in batch]


def filled(queue: Waiting, *words: str) -> dict[str, Entry]:
    """`queue` with these in it, like "a1"."""
    made = {word: entry(word[0], int(word[1:])) for word in words}
    for each in made.values():
        queue.add(each)
    return made


def test_each_terminal_has_its_turn_and_keeps_its_own_order() -> None:
    """However much one of them has said before the others."""
    queue = ByTurns()
    filled(queue, "a1", "a2", "a3", "b1", "c1", "b2")
    assert said(queue.take(4)) == ["a1", "b1", "c1", "a2"]
    assert said(queue.take(4)) == ["b2", "a3"]
    assert (len(queue), queue.ready) == (0, False)


def test_one_terminal_has_so_many_under_way_and_no_more() -> None:
    """The others' go on; its next ones go when one of its own is done, or waits by itself."""
    queue = ByTurns(at_once=2)
    made = filled(queue, "a1", "a2", "a3", "a4")
    assert said(queue.take(9)) == ["a1", "a2"]
    assert (len(queue), queue.ready) == (2, False)
    filled(queue, "b1")
    assert said(queue.take(9)) == ["b1"]
    queue.done(made["a1"])
    assert said(queue.take(9)) == ["a3"]
    queue.done(made["a2"])
    queue.done(made["a3"])
    assert said(queue.take(9)) == ["a4"]


def test_what_is_put_back_goes_first_again() -> None:
    """In its order, and it is under way no more."""
    for queue in (ByTurns(at_once=2), AsTheyCame()):
        filled(queue, "a1", "a2", "a3")
        batch = queue.take(2)
        queue.put_back(batch)
        assert said(queue.take(2)) == ["a1", "a2"]
        assert len(queue) == 1


def test_no_batch_is_larger_than_a_post_may_be() -> None:
    """Large reports of bad messages fill one."""
    for queue in (ByTurns(at_once=10**6), AsTheyCame()):
        for n in range(1000):
            large = entry("a", n)
            large.kind, large.body = "rejects", {"payload_b64": "x" * 5000}
            queue.add(large)
        first = queue.take(1000)
        assert sum(e.weight for e in first[:-1]) < MAX_BATCH_BYTES
        assert 100 < len(first) < 300


def test_as_they_came() -> None:
    """The routine keeps the order of the broker."""
    queue = AsTheyCame()
    made = filled(queue, "a1", "a2", "b1")
    assert said(queue.take(9)) == ["a1", "a2", "b1"]
    queue.done(made["a1"])
    assert (len(queue), queue.ready) == (0, False)
