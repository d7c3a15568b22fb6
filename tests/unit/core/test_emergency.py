"""The clock of 15 minutes: when the desk calls 120, and the address it reads out."""

from dataclasses import replace

import pytest

from server.core.alerts import Accept, Arrive, Decline, Event, Resolve, StepDue
from server.core.emergency import emergency, read_out, street, told_to
from server.core.messages import Subject
from server.core.words import Kind, Outcome, Role, Template
from tests.unit.core.people import HE, LIN, Story, actor, later

MIN = 60
STORIES: dict[str, tuple[list[tuple[float, Event]], list[tuple[float, bool]]]] = {
    "nobody answers: after eight minutes": (
        [(120, StepDue()), (240, StepDue())], [(8 * MIN - 1, False), (8 * MIN, True)],
    ),
    "somebody goes and does not arrive: after fifteen": (
        [(60, Accept(actor(LIN)))], [(8 * MIN, False), (15 * MIN - 1, False), (15 * MIN, True)],
    ),
    "at the door in time: never": (
        [(60, Accept(actor(LIN))), (300, Arrive(actor(LIN)))], [(15 * MIN, False), (3600, False)],
    ),
    "the one who went turns back at nine minutes: at once": (
        [(60, Accept(actor(LIN))), (9 * MIN, Decline(actor(LIN)))], [(9 * MIN, True)],
    ),
    "accepted late: the promise holds until fifteen": (
        [(10 * MIN, Accept(actor(HE)))], [(10 * MIN, False), (15 * MIN, True)],
    ),
    "the lease lapses at nine minutes and nobody else goes": (
        [(60, Accept(actor(LIN))), (60 + 8 * MIN, StepDue())], [(9 * MIN, True)],
    ),
    "resolved: never": ([(60, Resolve(actor(LIN), Outcome.SAFE))], [(3600, False)]),
}


@pytest.mark.parametrize(("events", "looks"), STORIES.values(), ids=STORIES.keys())
def test_when_the_desk_is_to_call_120(
    events: list[tuple[float, Event]], looks: list[tuple[float, bool]]
) -> None:
    """From the press: nobody on the way after 8 minutes, or nobody at the door after 15."""
    story = Story()
    for second, event in events:
        story.after(second, event)
    for second, prompt in looks:
        assert emergency(story.alert, later(second)).prompts(later(second)) is prompt, second


def test_what_a_press_waited_for_a_line_counts() -> None:
    """Pressed ten minutes before it reached us: with nobody on the way the desk calls 120 at once;
    with somebody, five minutes later; and it is looked at from the press on as well."""
    story = Story()
    pressed = later(-10 * MIN)
    late = replace(story.alert, pressed_at=pressed)
    assert emergency(late, later(0)).begins_at == later(-2 * MIN)
    story.after(1, Accept(actor(LIN)))
    going = replace(story.alert, pressed_at=pressed)
    assert [emergency(going, later(s)).prompts(later(s)) for s in (5 * MIN - 1, 5 * MIN)] == [
        False, True,
    ]  # fmt: skip
    story.after(2, Arrive(actor(LIN)))
    there = replace(story.alert, pressed_at=pressed)
    assert emergency(there, later(2)).look_at == later(6 * MIN)


def test_it_is_looked_at_when_it_can_change() -> None:
    """At eight minutes, and every minute from then on while the SOS is open; never again once it
    is closed."""
    story = Story()
    assert emergency(story.alert, later(0)).look_at == later(8 * MIN)
    assert emergency(story.alert, later(8 * MIN)).look_at == later(9 * MIN)
    story.after(500, Arrive(actor(LIN)))
    assert emergency(story.alert, later(510)).look_at == later(16 * MIN)
    story.after(600, Resolve(actor(LIN), Outcome.SAFE))
    assert emergency(story.alert, later(600)).look_at is None


@pytest.mark.parametrize(
    ("template", "role", "minutes", "test", "words"),
    [
        (Template.DUTY, Role.DUTY, 7, False, Template.DUTY),
        (Template.DUTY, Role.DUTY, 8, False, Template.CALL_120),
        (Template.DUTY, Role.DUTY, 8, True, Template.DUTY),
        (Template.DUTY, Role.STREET, 8, False, Template.DUTY),
        (Template.DUTY, Role.DISTRICT, 60, False, Template.DUTY),
        (Template.SOS, Role.STEWARD, 60, False, Template.SOS),
        (Template.CLOSED, Role.DUTY, 60, False, Template.CLOSED),
    ],
)  # fmt: skip
def test_who_is_told_to_call_120(
    template: Template, role: Role, minutes: float, words: Template, *, test: bool
) -> None:
    """The care centre alone, from the moment on when 120 is to be called."""
    alert = Story().alert
    assert told_to(template, role, alert, later(minutes * MIN), test=test) is words


def test_a_test_press_and_a_missed_round_never_ask_for_120() -> None:
    """120 is for a person in need, not for a test or a worklist."""
    assert not emergency(Story().alert, later(3600), test=True).prompts(later(3600))
    assert not emergency(Story(kind=Kind.MISSED).alert, later(3600)).prompts(later(3600))


GATE = {"zh": "广东省广州市天河区榕影路188号广氮小区,走东门", "en": "188 Rongying Road, Guangzhou"}
LANE = {"zh": "广东省广州市天河区石榕巷9号", "en": ""}
NONE = {"zh": "", "en": ""}
DOOR = Subject(building=11, floor=3, label="301", age=84, lives_alone=True)


@pytest.mark.parametrize(
    ("address", "fall", "zh", "en"),
    [
        (GATE, True, "广东省广州市天河区榕影路188号广氮小区,走东门,11栋3楼301,84岁独居,跌倒",
         "188 Rongying Road, Guangzhou, building 11, floor 3, flat 301, aged 84, alone, "
         "a fall"),
        (NONE, False, "广氮,11栋3楼301,84岁独居",
         "广氮, building 11, floor 3, flat 301, aged 84, alone"),
    ],
)  # fmt: skip
def test_the_address_is_ready_to_read_out(
    address: dict[str, str], fall: bool, zh: str, en: str
) -> None:
    """Whoever answers 120 knows no building 11: city, road, number, gate, community (once), house,
    door, age, whether alone, whether they fell; in both languages, no name."""
    assert read_out(DOOR, "广氮", address, fall=fall) == {"zh": zh, "en": en}


def test_of_a_resident_nobody_knows_only_the_door_is_read_out() -> None:
    """No age, no living situation, no empty clauses."""
    unknown = read_out(Subject(building=11, floor=3, label="301"), "广氮", NONE)
    assert unknown["zh"] == "广氮,11栋3楼301"


@pytest.mark.parametrize(
    ("community", "house", "expected"),
    [
        (GATE, NONE, GATE),
        (GATE, LANE, {"zh": LANE["zh"], "en": LANE["zh"]}),
        ({"zh": "", "en": "9 Lane"}, NONE, {"zh": "9 Lane", "en": "9 Lane"}),
        (NONE, NONE, NONE),
    ],
)
def test_a_house_on_another_road_has_its_own_address(
    community: dict[str, str], house: dict[str, str], expected: dict[str, str]
) -> None:
    """An ambulance at the wrong gate loses minutes; never is one house's road said with another's
    translation, and a missing translation is not silence."""
    assert street(community, house) == expected
