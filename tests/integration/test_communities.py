"""Two communities in one installation: each has its own desk, its own rounds and its own time."""

from tests import neighbour
from tests.town import GRANNY, Town

DESK = "+8610000000101"


async def test_each_communitys_press_calls_its_own_people(town: Town) -> None:
    """Houses of one number: a press calls the stewards and, in the end, the desk of its own
    community, and nobody of the other."""
    community = await neighbour.move_in(town)
    house = community.buildings[1]
    alone = next(f.resident for f in house.flats if f.resident)
    await town.press(terminal=alone.terminal_id)
    await town.settled()
    for steward in house.stewards:
        (text,) = await town.phone(steward.person.phone)
        assert "2栋" in text or "Bldg 2" in text
    for _ in range(3):
        await town.move(240)
    assert await town.phone(community.duty[0].phone)
    assert await town.phone(DESK) == []
    ours = next(b for b in town.community.buildings if b.number == 2)
    for steward in ours.stewards:
        assert await town.phone(steward.person.phone) == []

    await town.press(terminal=GRANNY)
    for _ in range(3):
        await town.move(240)
    assert any("11" in text for text in await town.phone(DESK))
    assert not any("11" in text for text in await town.phone(community.duty[0].phone))
