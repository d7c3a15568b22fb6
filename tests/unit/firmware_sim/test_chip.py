"""What lies in flash survives any power cut and honest wear: claims about `firmware_sim.chip`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim import chip as c
from firmware_sim.flash import FlashImage, MemoryFlash
from firmware_sim.state import MAX_PENDING, MAX_SEEN
from firmware_sim.wire import Kind, Ref, StoredEvent

T0 = 1_760_000_000_000
SMALL = 1024


def image(seq: int, events: int = 1) -> FlashImage:
    """An image that can be told from its neighbours."""
    stored = tuple(
        StoredEvent(
            kind=Kind.SOS, ref=Ref(1, seq + n), stored_ms=T0 + n, ts=T0, ts_ok=True, up_ms=n,
            bat=90, mains=True, rssi=-61, test=False,
        )
        for n in range(events)
    )
    return FlashImage(boot=1, seq=seq, events=stored)


@settings(max_examples=150, deadline=None)
@given(
    saves=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    cuts=st.lists(st.none() | st.integers(0, SMALL + 900), min_size=30, max_size=30),
)
def test_a_cut_at_any_byte_leaves_the_last_image_or_the_new_one(
    saves: list[int], cuts: list[int | None]
) -> None:
    """A press that was in flash before the power went is there after it, whole."""
    flash = c.SectorFlash(c.Chip(sectors=3, sector_bytes=SMALL))
    last = FlashImage()
    for number, (events, cut) in enumerate(zip(saves, cuts, strict=False)):
        new = image(number * 10, events)
        flash.chip.cut_after = cut
        try:
            flash.save(new)
            expected = (new,)
        except c.PowerCut:
            expected = (last, new)  # the seal's last byte may or may not have been reached
        flash.chip.cut_after = None
        found = flash.load()
        assert found in expected
        last = found


def test_a_cut_in_every_single_byte_of_one_store_is_survived() -> None:
    """Not sampled: each byte of erase, payload and seal once."""
    before, after = image(1), image(2)
    seen = set()
    for cut in range(2 * SMALL):
        flash = c.SectorFlash(c.Chip(sectors=2, sector_bytes=SMALL))
        flash.save(before)
        flash.chip.cut_after = cut
        try:
            flash.save(after)
        except c.PowerCut:
            assert flash.load() in (before, after), cut
            seen.add("cut")
        else:
            assert flash.load() == after
            seen.add("whole")
            break
    assert seen == {"cut", "whole"}, "the range must reach past the whole store"


def test_writes_are_spread_over_all_sectors() -> None:
    """No sector wears out long before the others."""
    flash = c.SectorFlash()
    for seq in range(400):
        flash.save(image(seq))
    assert max(flash.chip.erases) - min(flash.chip.erases) <= 1
    assert flash.wear == pytest.approx(50 / c.ENDURANCE)


def test_a_worn_sector_is_passed_over_and_a_worn_out_chip_says_so() -> None:
    """Past its endurance a sector no longer holds; the image before stays readable to the end."""
    flash = c.SectorFlash(c.Chip(endurance=3))
    last, failed = FlashImage(), ""
    for seq in range(1, 200):
        try:
            flash.save(image(seq))
        except OSError as error:
            failed = str(error)
            break
        last = image(seq)
        assert flash.load() == last
    assert "worn out" in failed
    assert last.seq >= 3 * (c.SECTORS - 1)
    assert flash.load() == last, "a worn-out chip still remembers"


def test_the_fullest_image_fits_a_sector_and_a_larger_one_is_refused() -> None:
    """As many events and command ids as a terminal keeps; more is an error, and loses nothing."""
    full = image(1, MAX_PENDING)
    full = FlashImage(full.boot, full.seq, full.events,
                      seen=tuple((f"c-{n:017d}", "received") for n in range(MAX_SEEN)))
    flash = c.SectorFlash()
    flash.save(full)
    assert flash.load().events == full.events
    assert flash.load().seen == full.seen
    with pytest.raises(OSError, match="larger than a sector"):
        flash.save(image(2, MAX_PENDING * 10))
    assert flash.load().events == full.events


def test_the_sum_catches_a_flipped_bit() -> None:
    """An image that was damaged where it lies is not believed; the one before it is."""
    flash = c.SectorFlash()
    flash.save(image(1))
    flash.save(image(2))
    flash.chip.memory[c.SECTOR_BYTES + c.SEAL.size + 9] ^= 1
    assert flash.load() == image(1)


def test_a_chip_keeps_what_the_plain_store_keeps() -> None:
    """The two stores are interchangeable for a terminal."""
    plain, hard = MemoryFlash(), c.ChipBank().of("gd-11-301")
    for seq in range(20):
        plain.save(image(seq, seq % 4))
        hard.save(image(seq, seq % 4))
        assert hard.load() == plain.load()
