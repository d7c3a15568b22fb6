"""Claims about the drawing plan: every flat has one fixed place, and 51 houses fit the screen."""

from collections import Counter

import pytest
from dashboards_fake import snapshot

from dashboards.facade import Window, facade, grid_columns, place, skyline
from xunlou.sample import guangdan


def flat(number: int, label: str, floor: int, stairwell: str = "A") -> dict[str, object]:
    return {
        "id": number,
        "label": label,
        "floor": floor,
        "stairwell": stairwell,
        "state": "checked",
        "terminal": True,
    }


def house(*flats: dict[str, object]) -> dict[str, object]:
    return {
        "id": 1,
        "number": 11,
        "name": "11栋",
        "worst": "ok",
        "stairwells": ["A"],
        "flats": list(flats),
    }


@pytest.mark.parametrize(
    ("label", "floor", "expected"),
    [("301", 3, "01"), ("1201", 12, "01"), ("3A", 3, "A"), ("东1", 2, "东1"), ("3", 3, "3")],
)
def test_place_is_the_label_without_its_floor(label: str, floor: int, expected: str) -> None:
    """A label that doesn't begin with its floor keeps its own column."""
    assert place(label, floor) == expected


@pytest.mark.parametrize("stairwell", ["A", "1", "一单元"])
@pytest.mark.parametrize("between", ["", "-"])
def test_a_label_with_its_stairwell_stands_above_its_door(stairwell: str, between: str) -> None:
    """A301, 1-301 and 一单元301 are door 01 of floor 3: two columns, not one for each label."""
    flats = [
        flat(floor * 10 + door, f"{stairwell}{between}{floor}0{door}", floor, stairwell)
        for floor in (1, 2, 3)
        for door in (1, 2)
    ]
    (well,) = facade(house(*flats)).stairwells[-1:]
    assert [[w and w.flat_id for w in storey] for storey in well.storeys] == [
        [31, 32],
        [21, 22],
        [11, 12],
    ]


def test_labels_that_say_nothing_of_the_door_are_ranked_on_their_landing() -> None:
    """Flats numbered through the house give a façade of its true width, not a diagonal."""
    flats = [flat(n, f"{n:03}", (n + 1) // 2) for n in range(1, 13)]
    (well,) = facade(house(*flats)).stairwells
    assert {len(storey) for storey in well.storeys} == {2}
    assert [w and w.flat_id for w in well.storeys[-1]] == [1, 2]


def test_two_flats_never_share_a_place() -> None:
    """A301 and 301 on one landing are both drawn, whatever their labels share."""
    plan = facade(house(flat(1, "A301", 3), flat(2, "301", 3)))
    assert sorted(w.flat_id for w in plan.stairwells[0].storeys[0] if w) == [1, 2]


def test_the_sample_community_is_drawn_at_its_true_width() -> None:
    """51 houses of 1 to 3 stairwells: as many columns as its widest landings have doors."""
    for number, built in enumerate(guangdan().buildings, 1):
        flats = [
            {"id": i, "label": f.label, "floor": f.floor, "stairwell": f.stairwell, "state": "none"}
            for i, f in enumerate(built.flats)
        ]
        doors: Counter[tuple[str, int]] = Counter((f.stairwell, f.floor) for f in built.flats)
        widest = {w: max(n for (s, _), n in doors.items() if s == w) for w, _ in doors}
        assert facade(house(*flats)).columns == sum(widest.values()), number


def test_a_missing_flat_leaves_a_gap_and_moves_nobody() -> None:
    """On a floor without 302, 303 still stands above 203."""
    plan = facade(house(flat(1, "201", 2), flat(2, "202", 2), flat(3, "203", 2), flat(4, "303", 3)))
    top, middle, ground = plan.stairwells[0].storeys
    assert top == (None, None, Window(4, "303", "checked"))
    assert [w and w.label for w in middle] == ["201", "202", "203"]
    assert ground == (None, None, None), "a floor of shops keeps its height"


def test_stairwells_stand_side_by_side_in_their_given_order() -> None:
    """The listed order wins; a stairwell nobody listed comes after, none is lost."""
    building = house(flat(1, "101", 1, "B"), flat(2, "102", 1, "A"), flat(3, "103", 1, "C"))
    building["stairwells"] = ["B", "A"]
    assert [well.name for well in facade(building).stairwells] == ["B", "A", "C"]
    assert facade(building).columns == 3


def test_ten_and_more_sort_as_numbers() -> None:
    """Flat 110 stands after 109, not after 101."""
    plan = facade(house(*(flat(n, f"1{n:02}", 1) for n in range(12, 0, -1))))
    assert [w and w.flat_id for w in plan.stairwells[0].storeys[0]] == list(range(1, 13))


def test_every_flat_of_the_community_is_drawn_once() -> None:
    """No window is lost and none is drawn twice, over all 51 buildings."""
    data = snapshot()
    drawn = [
        window.flat_id
        for building in skyline(data["buildings"]).facades
        for well in building.stairwells
        for storey in well.storeys
        for window in storey
        if window
    ]
    assert sorted(drawn) == sorted(f["id"] for b in data["buildings"] for f in b["flats"])


def test_51_buildings_stand_in_9_by_6() -> None:
    """The prototyped layout of the community this was designed with."""
    plan = skyline(snapshot()["buildings"])
    assert (plan.grid_columns, plan.grid_rows) == (9, 6)


def test_order_is_by_number_whatever_the_state() -> None:
    """An SOS changes a colour and never a place."""
    buildings = list(reversed(snapshot(busy=True)["buildings"]))
    numbers = [f.number for f in skyline(buildings).facades]
    assert numbers == list(range(1, 52))


@pytest.mark.parametrize("count", range(1, 120))
def test_any_number_of_buildings_has_a_grid(count: int) -> None:
    """Never a grid without columns, nor one with an empty row."""
    columns = grid_columns(count)
    assert 1 <= columns <= min(count, 20)


def test_a_building_without_flats_and_a_community_without_buildings() -> None:
    """Nothing recorded yet is a state, not a crash."""
    assert facade(house()).stairwells == ()
    assert skyline([]).facades == ()
    assert skyline([]).grid_columns == 1


def test_each_community_begins_a_row_of_its_own() -> None:
    """In the order of the communities, each by number; the columns suit all of them together."""
    ours = snapshot()["buildings"][:5]
    theirs = [{**b, "id": b["id"] + 1000, "number": b["number"] + 100_000} for b in ours[:2]]
    communities = [
        {"id": 1, "name": "广氮", "building_ids": [b["id"] for b in ours]},
        {"id": 2, "name": "棠德", "building_ids": [b["id"] for b in theirs]},
        {"id": 3, "name": "石牌", "building_ids": []},
    ]
    plan = skyline([*theirs, *ours], communities)
    assert [(g.name, [f.number for f in g.facades]) for g in plan.groups] == [
        ("广氮", [1, 2, 3, 4, 5]), ("棠德", [100_001, 100_002]),
    ]  # fmt: skip
    assert plan.heads == 2
    assert plan.grid_columns <= 5
    assert plan.grid_rows >= 2
    assert skyline(ours).heads == 0
