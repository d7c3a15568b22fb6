"""The sample community is plausible, always the same, and nobody in it can be telephoned."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from firmware_sim.manifest import parse
from xunlou import names
from xunlou.community import Community, age_on, risk_class
from xunlou.sample import AS_OF, guangdan, manifest

G = guangdan()
PEOPLE = [r for _, _, r in G.flats_with_residents()]


def _phones(community: Community) -> list[str]:
    return [p["number"] for p in manifest(community, "s")["phones"]]  # type: ignore[attr-defined]


def test_fifty_one_buildings_of_the_stated_size() -> None:
    """5 to 8 storeys, 1 to 3 stairwells, 20 to 40 flats, 1,000 to 1,400 households."""
    assert [b.number for b in G.buildings] == list(range(1, 52))
    assert all(5 <= b.storeys <= 8 for b in G.buildings)
    assert all(b.stairwells == tuple("ABC"[: len(b.stairwells)]) for b in G.buildings)
    assert {len(b.stairwells) for b in G.buildings} == {1, 2, 3}
    assert all(20 <= len(b.flats) <= 40 for b in G.buildings)
    assert 1000 <= sum(len(b.flats) for b in G.buildings) <= 1400


def test_a_flat_has_one_name_in_its_building_and_stands_where_the_name_says() -> None:
    """Labels are unique; the floor is in the label; the stairwell is named where there are two."""
    for building in G.buildings:
        labels = [flat.label for flat in building.flats]
        assert len(set(labels)) == len(labels)
        for flat in building.flats:
            well = flat.stairwell if len(building.stairwells) > 1 else ""
            assert re.fullmatch(rf"{well}{flat.floor}0[1-4]", flat.label)
            assert 1 <= flat.floor <= building.storeys


@pytest.mark.parametrize("seed", [314, 1, 2])
def test_about_four_hundred_people_of_65_and_more(seed: int) -> None:
    """380 to 420, all of them old enough on the day, in all classes and ways of living."""
    people = [r for _, _, r in guangdan(seed).flats_with_residents()]
    assert 380 <= len(people) <= 420
    ages = [r.age_on(AS_OF) for r in people]
    assert min(ages) >= 65
    assert max(ages) <= 105
    assert {r.risk_class for r in people} == {"A", "B", "C"}
    assert {r.living for r in people} == {"alone", "couple", "family"}
    assert {r.profile for r in people} == {"early", "regular", "forgetful", "away", "hospital"}


def test_the_class_of_each_resident_follows_from_the_rule() -> None:
    """No resident's class was set by hand."""
    for person in PEOPLE:
        assert person.risk_class == risk_class(
            person.age_on(AS_OF), person.living, person.health_flag
        )


@pytest.mark.parametrize(
    ("age", "living", "health_flag", "wanted"),
    [
        (90, "family", False, "A"),
        (89, "family", False, "B"),
        (80, "alone", False, "A"),
        (79, "alone", False, "B"),
        (65, "alone", True, "A"),
        (80, "couple", True, "B"),
        (79, "couple", True, "B"),
        (79, "family", False, "C"),
    ],
)
def test_the_rule_at_its_edges(age: int, living: str, health_flag: bool, wanted: str) -> None:
    """A from 90, or alone and 80 or frail; B for any one reason; else C."""
    assert risk_class(age, living, health_flag) == wanted  # type: ignore[arg-type]


def test_a_birthday_counts_from_the_day_itself() -> None:
    """The day before it one is still a year younger; also for 29 February."""
    assert age_on(AS_OF.replace(year=1961), AS_OF) == 65
    assert age_on(AS_OF.replace(year=1961, day=15), AS_OF) == 64
    born = AS_OF.replace(year=1960, month=2, day=29)
    assert age_on(born, AS_OF.replace(month=2, day=28)) == 65
    assert age_on(born, AS_OF.replace(month=3, day=1)) == 66


def test_who_is_most_at_risk_can_be_reached() -> None:
    """Every A has access notes; many B have; most A have a key holder with a place of the key."""
    notes = Counter(r.risk_class for r in PEOPLE if r.access_notes)
    total = Counter(r.risk_class for r in PEOPLE)
    keys = Counter(r.risk_class for r in PEOPLE if r.key_holder)
    assert notes["A"] == total["A"]
    assert notes["B"] > total["B"] / 2
    assert keys["A"] > total["A"] * 0.7
    assert all(r.key_holder.key_where for r in PEOPLE if r.key_holder)
    assert not any("{" in r.access_notes for r in PEOPLE)


def test_each_building_has_two_stewards_and_a_neighbour_to_stand_in() -> None:
    """The substitute is a steward of another building: the same person, the same telephone."""
    of_building = {b.number: [s.person for s in b.stewards] for b in G.buildings}
    for building in G.buildings:
        assert [s.position for s in building.stewards] == [1, 2]
        homes = [n for n, people in of_building.items() if building.substitute in people]
        assert len(homes) == 1
        assert abs(homes[0] - building.number) == 1
    english = sum(s.person.lang == "en" for b in G.buildings for s in b.stewards)
    assert 1 <= english <= 12


def test_no_telephone_can_exist_and_none_is_given_twice() -> None:
    """+86 and eleven digits from 100 on; one owner each."""
    numbers = _phones(G)
    assert all(re.fullmatch(r"\+86100\d{8}", number) for number in numbers)
    owners = {s.person for b in G.buildings for s in b.stewards}
    owners |= {*G.duty, *G.street, *G.district}
    owners |= {r.key_holder.person for r in PEOPLE if r.key_holder}
    owners |= {p for r in PEOPLE for p in (r.befriender, r.family) if p}
    assert len(numbers) == len(set(numbers)) == len(owners)
    assert len({owner.name for owner in owners} | {r.name for r in PEOPLE}) == len(owners) + len(
        PEOPLE
    )


def test_who_lives_alone_and_is_most_at_risk_has_a_befriender() -> None:
    """One named helper for each lone elder of class A, and for nobody else."""
    for person in PEOPLE:
        lone = person.risk_class == "A" and person.living == "alone"
        assert (person.befriender is not None) == lone


def test_the_duty_of_the_sample_has_no_hole() -> None:
    """Three shifts of two people cover every hour of the week."""
    week = {d: sorted((s.starts, s.ends) for s in G.shifts if d in s.days) for d in range(1, 8)}
    hours = [("05:30", "13:30"), ("13:30", "21:30"), ("21:30", "05:30")]
    two_each = sorted(hours * 2)
    assert all(shifts == two_each for shifts in week.values())
    assert {s.person for s in G.shifts} == set(G.duty)


def test_terminals_have_ids_the_wire_accepts_and_each_its_own() -> None:
    """The contract allows [a-z0-9-], at most 32."""
    ids = [r.terminal_id for r in PEOPLE]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"gd-\d{1,2}-[abc]?\d{3}", one) for one in ids)


def test_the_story_of_14_march_is_there_once() -> None:
    """84, alone, third floor of building 11, class A; the light-well is in the notes."""
    told = [(b, f, r) for b, f, r in G.flats_with_residents() if r.story]
    ((building, flat, woman),) = told
    assert (building.number, flat.floor, flat.label) == (11, 3, "301")
    assert (woman.age_on(AS_OF), woman.living, woman.sex) == (84, "alone", "f")
    assert woman.risk_class == "A"
    assert "光井" in woman.access_notes
    assert "铁门" in woman.access_notes
    assert woman.key_holder is not None
    assert woman.key_holder.relation == "neighbour"


def test_the_same_seed_gives_the_same_community_in_another_process() -> None:
    """Also under another hash seed; another seed gives another community."""
    code = (
        "import hashlib; from xunlou.sample import guangdan; "
        "print(hashlib.sha256(repr(guangdan(9)).encode()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    other = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == hashlib.sha256(repr(guangdan(9)).encode()).hexdigest()
    assert guangdan(9) != guangdan(10)


def test_the_manifest_is_what_the_simulator_reads() -> None:
    """Its own parser accepts it; passwords follow from the secret; one entry tells the story."""
    raw = manifest(G, "secret")
    fleet = parse(raw)
    assert len(fleet.terminals) == len(PEOPLE)
    assert [t.id for t in fleet.terminals if t.story == "march14"] == ["gd-11-301"]
    assert all(re.fullmatch(r"[0-9a-f]{24}", t.password) for t in fleet.terminals)
    assert len({t.password for t in fleet.terminals}) == len(fleet.terminals)
    assert parse(manifest(G, "other")).terminals[0].password != fleet.terminals[0].password
    roles = Counter(p.role for p in fleet.phones)
    assert roles["steward"] == 102
    assert (roles["duty"], roles["street"], roles["district"]) == (6, 1, 1)
    assert roles["befriender"] > 20
    assert roles["family"] > 50
    assert roles["key_holder"] > 50
    assert [r.name for r in fleet.rounds] == ["morning", "evening"]


def test_the_sample_scales_and_refuses_what_it_cannot_number() -> None:
    """A small one for a test, a large one for a bench; 100 buildings have no two digits."""
    assert len(list(guangdan(buildings=3).flats_with_residents())) == 24
    assert len(guangdan(buildings=99).buildings) == 99
    for wrong in (2, 100):
        with pytest.raises(ValueError, match="3 to 99"):
            guangdan(buildings=wrong)


def test_lists_have_no_double_entries() -> None:
    """A name that stands twice would be drawn twice as often."""
    for words in (names.SURNAMES, names.WOMEN, names.MEN):
        assert len(set(words)) == len(words)
