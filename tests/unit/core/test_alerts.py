"""The life of an alert, as a table of cases and as stories of care."""

from dataclasses import replace

import pytest

from server.core import alerts as core
from server.core.alerts import (
    Accept,
    AddItems,
    Arrive,
    CheckedIn,
    Decline,
    DeliveryFailed,
    Escalate,
    HelpComing,
    Item,
    PressedAgain,
    Reason,
    ResidentCancelled,
    Resolve,
    SettleItem,
    StepDue,
    Tell,
    TellTerminalResolved,
    WithdrawNews,
)
from server.core.ladder import SOS_LADDER, Roster
from server.core.words import Kind, Outcome, State
from tests.unit.core.people import (
    BEFRIENDER,
    COLLEAGUE,
    DUTY,
    HE,
    LIN,
    MAI,
    OPERATOR,
    ROSTER,
    STREET,
    SU,
    T0,
    Story,
    actor,
    later,
    told,
)

# Each row is one night: what happens at which second, and the reason, the state and the people
# told that follow. To change a rule, change its row first.
NIGHTS = {
    "both stewards at once, then those with a key, then the care centre, then again and again": [
        (120, StepDue(), Reason.CLIMBED, State.OPEN, ["苏佩琼", "麦少芬", "林桂芳", "何国强"]),
        (240, StepDue(), Reason.CLIMBED, State.OPEN, ["黎瑞芳"]),
        (360, StepDue(), Reason.CLIMBED, State.OPEN, ["黎瑞芳"]),
        (480, StepDue(), Reason.CLIMBED, State.OPEN, ["黎瑞芳"]),
        (600, StepDue(), Reason.REPEATED, State.OPEN, ["黎瑞芳"]),
        (720, StepDue(), Reason.REPEATED, State.OPEN, ["黎瑞芳"]),
    ],
    "a bell that rings too early does nothing": [
        (119, StepDue(), Reason.NOT_DUE, State.OPEN, []),
    ],
    "one goes: both know, and the ladder waits for eight minutes": [
        (60, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (120, StepDue(), Reason.NOT_DUE, State.ACCEPTED, []),
        (539, StepDue(), Reason.NOT_DUE, State.ACCEPTED, []),
    ],
    "the one who said yes does not arrive: reminded, and the next are called": [
        (60, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (540, StepDue(), Reason.LEASE_LAPSED, State.OPEN,
         ["林桂芳", "苏佩琼", "麦少芬", "林桂芳", "何国强"]),
    ],
    "the first does not arrive: others are called, and the second keeps the time they were given": [
        (60, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (500, Accept(actor(HE)), Reason.JOINED, State.ACCEPTED, ["何国强", "林桂芳"]),
        (540, StepDue(), Reason.LEASE_LAPSED, State.ACCEPTED,
         ["林桂芳", "苏佩琼", "麦少芬", "林桂芳", "何国强"]),
        (979, StepDue(), Reason.NOT_DUE, State.ACCEPTED, []),
        (980, StepDue(), Reason.LEASE_LAPSED, State.OPEN, ["何国强", "黎瑞芳"]),
    ],
    "the first can't after all: the second has their own time": [
        (60, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (500, Accept(actor(HE)), Reason.JOINED, State.ACCEPTED, ["何国强", "林桂芳"]),
        (510, Decline(actor(LIN)), Reason.DECLINED, State.ACCEPTED, []),
        (979, StepDue(), Reason.NOT_DUE, State.ACCEPTED, []),
        (980, StepDue(), Reason.LEASE_LAPSED, State.OPEN,
         ["何国强", "苏佩琼", "麦少芬", "林桂芳", "何国强"]),
    ],
    "a second steward is welcome, and the first still leads": [
        (60, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (70, Accept(actor(HE)), Reason.JOINED, State.ACCEPTED, ["何国强", "林桂芳"]),
    ],
    "saying yes twice is saying it once": [
        (60, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (61, Accept(actor(LIN)), Reason.ALREADY_DONE, State.ACCEPTED, []),
    ],
    "can't go: the next are called at once, the one who can't is left in peace": [
        (30, Decline(actor(LIN)), Reason.DECLINED, State.OPEN, ["苏佩琼", "麦少芬", "何国强"]),
    ],
    "can't go, said again and again: heard once, and the others keep their time": [
        (30, Decline(actor(LIN)), Reason.DECLINED, State.OPEN, ["苏佩琼", "麦少芬", "何国强"]),
        (31, Decline(actor(LIN)), Reason.ALREADY_DONE, State.OPEN, []),
        (90, Decline(actor(LIN)), Reason.ALREADY_DONE, State.OPEN, []),
        (149, StepDue(), Reason.NOT_DUE, State.OPEN, []),
        (150, StepDue(), Reason.CLIMBED, State.OPEN, ["黎瑞芳"]),
    ],
    "can't go, then goes, then can't: each is heard": [
        (30, Decline(actor(LIN)), Reason.DECLINED, State.OPEN, ["苏佩琼", "麦少芬", "何国强"]),
        (40, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED,
         ["林桂芳", "何国强", "苏佩琼", "麦少芬"]),
        (50, Decline(actor(LIN)), Reason.DECLINED, State.OPEN, ["黎瑞芳"]),
        (60, Decline(actor(LIN)), Reason.ALREADY_DONE, State.OPEN, []),
    ],
    "can't go at one visit, and the next press is a call of its own": [
        (10, Decline(actor(HE)), Reason.DECLINED, State.OPEN, ["苏佩琼", "麦少芬", "林桂芳"]),
        (20, Arrive(actor(LIN)), Reason.ARRIVED, State.ON_SCENE,
         ["林桂芳", "何国强", "苏佩琼", "麦少芬"]),
        (1300, PressedAgain(), Reason.PRESSED_AGAIN, State.OPEN, ["林桂芳", "何国强", "黎瑞芳"]),
        (1310, Decline(actor(HE)), Reason.DECLINED, State.OPEN, ["黎瑞芳"]),
    ],
    "can't go after all: the next are called at once": [
        (30, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (90, Decline(actor(LIN)), Reason.DECLINED, State.OPEN, ["苏佩琼", "麦少芬", "何国强"]),
    ],
    "one of two can't go after all: the other still goes": [
        (30, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (40, Accept(actor(HE)), Reason.JOINED, State.ACCEPTED, ["何国强", "林桂芳"]),
        (50, Decline(actor(LIN)), Reason.DECLINED, State.ACCEPTED, []),
    ],
    "one of two leaves the door: the other is still there": [
        (30, Arrive(actor(LIN)), Reason.ARRIVED, State.ON_SCENE, ["林桂芳", "何国强"]),
        (40, Arrive(actor(HE)), Reason.ARRIVED, State.ON_SCENE, ["何国强", "林桂芳"]),
        (50, Decline(actor(LIN)), Reason.DECLINED, State.ON_SCENE, []),
    ],
    "whoever was at the door leaves, the other is on the way: with the time they were given": [
        (30, Arrive(actor(LIN)), Reason.ARRIVED, State.ON_SCENE, ["林桂芳", "何国强"]),
        (40, Accept(actor(HE)), Reason.JOINED, State.ON_SCENE, ["何国强", "林桂芳"]),
        (50, Decline(actor(LIN)), Reason.DECLINED, State.ACCEPTED, []),
        (60, PressedAgain(), Reason.PRESSED_AGAIN, State.ACCEPTED, ["何国强"]),
        (519, StepDue(), Reason.NOT_DUE, State.ACCEPTED, []),
        (520, StepDue(), Reason.LEASE_LAPSED, State.OPEN,
         ["何国强", "苏佩琼", "麦少芬", "林桂芳", "何国强"]),
    ],
    "accepted, at the door, safe": [
        (60, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (300, Arrive(actor(LIN)), Reason.ARRIVED, State.ON_SCENE, []),
        (301, Arrive(actor(LIN)), Reason.ALREADY_DONE, State.ON_SCENE, []),
        (600, Resolve(actor(LIN), Outcome.SAFE), Reason.RESOLVED, State.RESOLVED, ["何国强"]),
        (601, Resolve(actor(HE), Outcome.SAFE), Reason.ALREADY_RESOLVED, State.RESOLVED, []),
        (900, StepDue(), Reason.ALREADY_RESOLVED, State.RESOLVED, []),
    ],
    "went straight to the door without a word: both facts are recorded": [
        (200, Arrive(actor(HE)), Reason.ARRIVED, State.ON_SCENE, ["何国强", "林桂芳"]),
    ],
    "long silence from the door: the care centre is asked to look": [
        (60, Arrive(actor(LIN)), Reason.ARRIVED, State.ON_SCENE, ["林桂芳", "何国强"]),
        (1260, StepDue(), Reason.REMINDED, State.ON_SCENE, ["黎瑞芳"]),
        (2460, StepDue(), Reason.REMINDED, State.ON_SCENE, ["黎瑞芳"]),
    ],
    "the care centre takes it: the stewards hear of it": [
        (20, Accept(OPERATOR), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
    ],
    "another operator goes on with what a colleague took: nobody hears of a second helper": [
        (20, Accept(OPERATOR), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (30, Accept(COLLEAGUE), Reason.ALREADY_DONE, State.ACCEPTED, []),
        (300, Arrive(COLLEAGUE), Reason.ARRIVED, State.ON_SCENE, []),
        (310, Arrive(OPERATOR), Reason.ALREADY_DONE, State.ON_SCENE, []),
        (600, Resolve(COLLEAGUE, Outcome.SAFE), Reason.RESOLVED, State.RESOLVED,
         ["林桂芳", "何国强"]),
    ],
    "the desk's promise lapsed: another operator's is a new one": [
        (20, Accept(OPERATOR), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (500, StepDue(), Reason.LEASE_LAPSED, State.OPEN,
         ["苏佩琼", "麦少芬", "林桂芳", "何国强"]),
        (510, Accept(COLLEAGUE), Reason.ACCEPTED, State.ACCEPTED,
         ["林桂芳", "何国强", "苏佩琼", "麦少芬"]),
    ],
    "the desk takes what the desk's own telephone took: the one who rang is a person and goes": [
        (20, Accept(actor(DUTY)), Reason.ACCEPTED, State.ACCEPTED, ["黎瑞芳", "林桂芳", "何国强"]),
        (30, Accept(OPERATOR), Reason.JOINED, State.ACCEPTED, ["林桂芳", "何国强", "黎瑞芳"]),
    ],
    "an operator does not want to wait": [
        (20, Escalate(OPERATOR), Reason.CLIMBED, State.OPEN,
         ["苏佩琼", "麦少芬", "林桂芳", "何国强"]),
    ],
    "an operator calls more people while one is on the way: that one keeps the eight minutes": [
        (60, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (90, Escalate(OPERATOR), Reason.CLIMBED, State.ACCEPTED,
         ["苏佩琼", "麦少芬", "林桂芳", "何国强"]),
        (539, StepDue(), Reason.NOT_DUE, State.ACCEPTED, []),
    ],
    "pressed again while all are being called: shown, no further SMS": [
        (20, PressedAgain(), Reason.PRESSED_AGAIN, State.OPEN, []),
    ],
    "pressed again while help is on its way: the helper hears of it, once a minute": [
        (20, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (30, PressedAgain(), Reason.PRESSED_AGAIN, State.ACCEPTED, ["林桂芳"]),
        (35, PressedAgain(), Reason.PRESSED_AGAIN, State.ACCEPTED, []),
        (90, PressedAgain(fall=True), Reason.PRESSED_AGAIN, State.ACCEPTED, ["林桂芳"]),
    ],
    "pressed again with the helper at the door: the helper hears of it": [
        (20, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (300, Arrive(actor(LIN)), Reason.ARRIVED, State.ON_SCENE, []),
        (600, PressedAgain(), Reason.PRESSED_AGAIN, State.ON_SCENE, ["林桂芳"]),
    ],
    "pressed again long after the visit, which nobody has closed: both stewards and the centre": [
        (20, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (300, Arrive(actor(LIN)), Reason.ARRIVED, State.ON_SCENE, []),
        (1500, PressedAgain(), Reason.PRESSED_AGAIN, State.OPEN, ["林桂芳", "何国强", "黎瑞芳"]),
        (1530, PressedAgain(), Reason.PRESSED_AGAIN, State.OPEN, []),
        (1540, Accept(actor(HE)), Reason.ACCEPTED, State.ACCEPTED, ["何国强", "林桂芳", "黎瑞芳"]),
        (1550, PressedAgain(), Reason.PRESSED_AGAIN, State.ACCEPTED, []),
        (1600, PressedAgain(), Reason.PRESSED_AGAIN, State.ACCEPTED, ["何国强"]),
    ],
    "pressed again long after the visit, and nobody answers: the ladder goes on": [
        (20, Accept(actor(LIN)), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (300, Arrive(actor(LIN)), Reason.ARRIVED, State.ON_SCENE, []),
        (1500, PressedAgain(), Reason.PRESSED_AGAIN, State.OPEN, ["林桂芳", "何国强", "黎瑞芳"]),
        (1620, StepDue(), Reason.CLIMBED, State.OPEN, ["苏佩琼", "麦少芬", "林桂芳", "何国强"]),
    ],
    "pressed again when the desk itself took it: the care centre hears of it by SMS": [
        (20, Accept(OPERATOR), Reason.ACCEPTED, State.ACCEPTED, ["林桂芳", "何国强"]),
        (30, PressedAgain(), Reason.PRESSED_AGAIN, State.ACCEPTED, ["黎瑞芳"]),
        (35, PressedAgain(), Reason.PRESSED_AGAIN, State.ACCEPTED, []),
    ],
    "the resident cancels: those told hear it, and it stays open": [
        (20, ResidentCancelled(), Reason.CANCELLED_BY_RESIDENT, State.OPEN, ["林桂芳", "何国强"]),
        (25, ResidentCancelled(), Reason.ALREADY_DONE, State.OPEN, []),
        (120, StepDue(), Reason.CLIMBED, State.OPEN, ["苏佩琼", "麦少芬", "林桂芳", "何国强"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("night", NIGHTS.values(), ids=NIGHTS.keys())
def test_the_night_goes_as_told(night: list) -> None:
    """Each event has the reason, state and messages of its row, and no message beyond them."""
    story = Story()
    for second, event, reason, state, people in night:
        decision = story.after(second, event)
        assert (decision.reason, decision.alert.state) == (reason, state)
        assert [name for name, _ in told(decision)] == people


def test_both_stewards_are_told_at_once() -> None:
    """The press itself tells both stewards of the building and nobody else."""
    story = Story()
    assert told(story.last) == [("林桂芳", "sos"), ("何国强", "sos")]
    assert story.alert.next_step_at == later(120)


def test_a_fall_is_called_a_fall() -> None:
    """The words differ for a fall detector, and for the care centre at the end of the ladder."""
    story = Story(fall=True)
    assert told(story.last) == [("林桂芳", "fall"), ("何国强", "fall")]
    story.after(120, StepDue())
    assert told(story.after(240, StepDue())) == [("黎瑞芳", "duty")]


def test_the_terminal_speaks_of_help_only_once_a_person_accepted() -> None:
    """`help_coming` follows from an acceptance and from nothing before it."""
    story = Story()
    calls = [story.last, story.after(120, StepDue()), story.after(130, PressedAgain())]
    assert not any(isinstance(e, HelpComing) for d in calls for e in d.effects)
    accepted = story.after(140, Accept(actor(HE)))
    assert [e.responder.name for e in accepted.effects if isinstance(e, HelpComing)] == ["何国强"]


def test_the_terminal_is_told_of_the_other_when_the_first_cannot_come() -> None:
    """When the leader drops out the resident hears who comes instead."""
    story = Story()
    story.after(10, Accept(actor(LIN)))
    story.after(20, Accept(actor(HE)))
    decision = story.after(30, Decline(actor(LIN)))
    assert [e.responder.name for e in decision.effects if isinstance(e, HelpComing)] == ["何国强"]


def test_the_desk_goes_as_one() -> None:
    """Two operators on one alert are one helper on the way, the one who said so first; a steward
    beside them is another."""
    story = Story()
    story.after(10, Accept(OPERATOR))
    story.after(20, Accept(COLLEAGUE))
    story.after(30, Arrive(COLLEAGUE))
    (desk,) = story.alert.responders
    assert (desk.name, desk.accepted_at, desk.on_scene_at) == ("operator", later(10), later(30))
    story.after(40, Accept(actor(LIN)))
    assert [r.name for r in story.alert.responders] == ["operator", LIN.name]


def test_resolving_closes_everything_and_tells_the_terminal() -> None:
    """An outcome and a person are kept; nothing is due any more."""
    story = Story()
    decision = story.after(500, Resolve(OPERATOR, Outcome.AMBULANCE, "120 at 06:18"))
    alert = decision.alert
    assert (alert.outcome, alert.resolved_by, alert.note) == (
        Outcome.AMBULANCE, "operator", "120 at 06:18",
    )  # fmt: skip
    assert alert.next_step_at is None
    assert alert.lease_until is None
    assert any(isinstance(e, TellTerminalResolved) for e in decision.effects)


def test_exhausted_is_open_and_says_so() -> None:
    """After the last step the alert is exhausted, stays open, and has a next time to call."""
    story = Story()
    story.after(120, StepDue())
    assert not story.alert.exhausted
    story.after(240, StepDue())
    story.after(360, StepDue())
    assert not story.alert.exhausted, "the street office has not been told"
    story.after(480, StepDue())
    assert story.alert.exhausted
    assert story.alert.next_step_at == later(600)
    story.after(490, Accept(actor(HE)))
    assert not story.alert.exhausted


def test_the_street_office_hears_after_eight_minutes_and_the_care_centre_goes_on_hearing() -> None:
    """Four minutes of silence at the care centre, and the office above it is told too; each in
    the words for a desk, while a neighbour hears what happened."""
    story = Story(replace(ROSTER, street=(STREET,), befrienders=(BEFRIENDER,)))
    words = [told(story.after(s, StepDue())) for s in (120, 240, 360, 480, 600)]
    assert (BEFRIENDER.name, "sos") in words[0]
    assert words[1:3] == [[(DUTY.name, "duty")]] * 2
    assert words[3:] == [[(DUTY.name, "duty"), (STREET.name, "duty")]] * 2


def test_who_was_not_going_and_cannot_go_tells_the_resident_nothing() -> None:
    """One is on the way: the other's "can't" is heard, calls nobody, and the terminal is not told
    of the same helper again."""
    story = Story()
    story.after(10, Accept(actor(LIN)))
    decision = story.after(20, Decline(actor(HE)))
    assert (decision.reason, decision.effects) == (Reason.DECLINED, ())
    assert [r.name for r in story.alert.responders] == [LIN.name]


def test_the_second_helper_who_turns_back_leaves_the_first_one_announced() -> None:
    """Two go, the second gives up: the resident has been told of the first, who still comes."""
    story = Story()
    story.after(10, Accept(actor(LIN)))
    story.after(15, Accept(actor(HE)))
    decision = story.after(20, Decline(actor(HE)))
    assert decision.effects == ()
    assert [r.name for r in story.alert.responders] == [LIN.name]


def test_both_stewards_unreachable_goes_to_the_care_centre_in_the_same_breath() -> None:
    """With one steward failed we wait for the other; with both, everyone up to duty is told."""
    story = Story()
    story.undelivered(LIN)
    assert told(story.after(2, DeliveryFailed(LIN.id))) == []
    story.undelivered(HE)
    decision = story.after(4, DeliveryFailed(HE.id))
    assert decision.reason is Reason.UNREACHABLE
    assert [name for name, _ in told(decision)][-1] == DUTY.name
    assert {name for name, _ in told(decision)} >= {SU.name, MAI.name, DUTY.name}
    assert told(story.after(5, DeliveryFailed(HE.id))) == []


def test_a_failed_message_to_somebody_never_told_counts_as_told() -> None:
    """The failure of the only message there was moves the ladder."""
    story = Story()
    story.told = {}
    assert told(story.after(1, DeliveryFailed(LIN.id)))


def test_a_failure_after_acceptance_moves_nothing() -> None:
    """Somebody goes; a dead number elsewhere is a fault for the desk, not a step."""
    story = Story()
    story.after(3, Accept(actor(HE)))
    story.undelivered(LIN)
    decision = story.after(4, DeliveryFailed(LIN.id))
    assert (decision.reason, decision.effects) == (Reason.UNREACHABLE, ())


def test_a_step_with_nobody_to_tell_is_passed_at_once() -> None:
    """A building whose stewards have both opted out calls the next step in the same second."""
    lonely = Story(Roster(duty=(DUTY,)))
    assert told(lonely.last) == [("黎瑞芳", "duty")]
    assert lonely.alert.step == 3


def test_a_press_whose_stewards_have_both_opted_out_is_the_care_centres_at_once() -> None:
    """The key holder hears of it in the same second, and does not keep it from the desk for two
    minutes; nor does an empty first step of a list hurry anybody."""
    gone = tuple(replace(p, reachable=False) for p in (LIN, HE))
    nobody = replace(ROSTER, stewards=gone)
    story = Story(nobody)
    assert [name for name, _ in told(story.last)] == [SU.name, MAI.name, DUTY.name]
    assert story.alert.next_step_at == later(120)
    listed = Story(nobody, kind=Kind.MISSED, items=ITEMS)
    assert [name for name, _ in told(listed.last)] == [SU.name]


def test_nobody_at_all_stays_open_and_red() -> None:
    """A community without any reachable phone still has an open, exhausted alert."""
    empty = Story(Roster())
    assert told(empty.last) == []
    assert empty.alert.exhausted
    assert empty.alert.state is State.OPEN


def test_someone_who_opted_out_is_told_no_more() -> None:
    """An opt-out between two steps is honoured at the second, also for reminders."""
    story = Story()
    story.after(5, Accept(actor(LIN)))
    story.without(LIN)
    names = [name for name, _ in told(story.after(600, StepDue()))]
    assert LIN.name not in names
    story.after(610, Accept(actor(LIN)))
    assert told(story.after(700, PressedAgain())) == [(DUTY.name, "duty")]


def test_a_fault_has_no_ladder() -> None:
    """Faults are for the desk: nobody is told, nothing becomes due, an operator may take it."""
    fault = core.Alert(kind=Kind.FAULT, ladder=None, opened_at=T0)
    assert core.open_alert(fault, ROSTER, T0).effects == ()
    situation = core.Situation(fault, ROSTER)
    accepted = core.decide(situation, Accept(OPERATOR), later(1)).alert
    assert (accepted.state, accepted.next_step_at) == (State.ACCEPTED, None)
    arrived = core.decide(core.Situation(accepted, ROSTER), Arrive(OPERATOR), later(2)).alert
    assert (arrived.state, arrived.next_step_at) == (State.ON_SCENE, None)
    assert core.decide(situation, DeliveryFailed(1), later(3)).effects == ()


ITEMS = (Item(87, 249, "301"), Item(88, 250, "302"))


def test_a_missed_round_is_one_worklist_for_both_stewards() -> None:
    """Two flats, one message to each steward."""
    story = Story(kind=Kind.MISSED, items=ITEMS)
    assert told(story.last) == [("林桂芳", "missed"), ("何国强", "missed")]


def test_a_late_check_in_clears_its_flat_and_says_so() -> None:
    """The stewards who were told hear that one of the flats needs no look; the list stays open."""
    story = Story(kind=Kind.MISSED, items=ITEMS)
    decision = story.after(60, CheckedIn([87]))
    assert decision.reason is Reason.ITEM_SETTLED
    assert told(decision) == [("林桂芳", "fewer"), ("何国强", "fewer")]
    assert news(decision) == [60, 60]
    assert decision.alert.state is State.OPEN
    assert story.after(61, CheckedIn([87])).reason is Reason.ALREADY_DONE
    assert story.after(61, CheckedIn([99])).reason is Reason.ALREADY_DONE
    assert story.after(61, CheckedIn([])).reason is Reason.ALREADY_DONE


def news(decision: core.Decision) -> list[float]:
    """Seconds after the opening at which each text that the list is shorter may leave."""
    return [
        (e.not_before - T0).total_seconds()
        for e in decision.effects
        if isinstance(e, Tell) and e.not_before is not None
    ]


def a_list(doors: int) -> tuple[Item, ...]:
    """So many flats that missed a round, by resident 1, 2, 3 …"""
    return tuple(Item(i, i, f"{i:02}01") for i in range(1, doors + 1))


# Each row: flats on the list; (second, who checks in), and when the stewards are to hear of it.
LATE = {
    "few: at once, then after ten minutes for all that came in between": (
        5, [(60, [1], 60), (100, [2], 660), (200, [3, 4], 660)],
    ),
    "few, and long after the last news: at once again": (5, [(60, [1], 60), (700, [2], 700)]),
    "many: two minutes later, together with those who follow": (
        6, [(60, [1, 2], 180), (100, [3], 180), (179, [4], 180)],
    ),
    "many, and ten minutes between two": (
        7, [(60, [1], 180), (200, [2], 780), (779, [3], 780), (2000, [4], 2120)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("doors", "late"), LATE.values(), ids=LATE.keys())
def test_late_check_ins_are_told_together(doors: int, late: list) -> None:
    """One text to each steward within ten minutes, and what has not left is said anew."""
    story = Story(kind=Kind.MISSED, items=a_list(doors))
    for second, residents, at in late:
        decision = story.after(second, CheckedIn(residents))
        assert news(decision) == [at, at]
        assert decision.effects[0] == WithdrawNews()
        assert story.alert.news_at == later(at)


def test_the_lights_return_and_all_check_in_within_the_same_minutes() -> None:
    """A list of 25 in four batches: what waits to be told is never told, because all are well."""
    story = Story(kind=Kind.MISSED, items=a_list(25))
    for second, batch in ((10, range(1, 9)), (11, range(9, 17)), (90, range(17, 24))):
        assert news(story.after(second, CheckedIn(batch))) == [130, 130]
    decision = story.after(120, CheckedIn([24, 25]))
    assert decision.reason is Reason.RESOLVED
    assert told(decision) == [("林桂芳", "checked_in"), ("何国强", "checked_in")]
    assert decision.effects[0] == core.CancelQueued()
    assert news(decision) == []


def test_no_text_that_waits_names_a_flat_that_a_steward_has_ticked_since() -> None:
    """The text is said anew with the ticked flat off it; once it has left, a tick says nothing."""
    story = Story(kind=Kind.MISSED, items=a_list(7))
    story.after(60, CheckedIn([1]))
    ticked = story.after(90, SettleItem(2, Outcome.SAFE, actor(LIN)))
    assert news(ticked) == [180, 180]
    assert {e.attempt for e in ticked.effects if isinstance(e, Tell)} == {2}, "not the same text"
    assert story.after(180, SettleItem(3, Outcome.SAFE, actor(LIN))).effects == ()


def test_one_of_a_couple_checks_in_and_the_other_is_still_awaited() -> None:
    """Their door is still to be walked to: no text says otherwise."""
    couple = (Item(87, 249, "301"), Item(88, 249, "301"), Item(89, 250, "302"))
    story = Story(kind=Kind.MISSED, items=couple)
    decision = story.after(60, CheckedIn([87]))
    assert (decision.reason, decision.effects) == (Reason.ITEM_SETTLED, ())
    assert news(story.after(61, CheckedIn([88]))) == [61, 61]


def test_a_late_check_in_of_a_list_that_nobody_was_told_of_is_told_to_nobody() -> None:
    """Nobody is to be spared a way that nobody was asked to go."""
    story = Story(Roster(), kind=Kind.MISSED, items=ITEMS)
    decision = story.after(60, CheckedIn([87]))
    assert (decision.effects, decision.alert.news_at) == ((), None)


def test_the_last_check_in_closes_the_list() -> None:
    """All residents have spoken for themselves: closed without a responder, and all hear it."""
    story = Story(kind=Kind.MISSED, items=ITEMS)
    story.after(60, CheckedIn([87]))
    decision = story.after(90, CheckedIn([88]))
    assert (decision.alert.state, decision.alert.outcome) == (State.RESOLVED, Outcome.CHECKED_IN)
    assert [t for _, t in told(decision)] == ["checked_in", "checked_in"]


def test_a_steward_ticks_one_flat_and_then_the_rest() -> None:
    """A person's tick is recorded without a message; "all safe" settles what is left."""
    story = Story(kind=Kind.MISSED, items=ITEMS)
    story.after(60, Accept(actor(LIN)))
    ticked = story.after(300, SettleItem(87, Outcome.AMBULANCE, actor(LIN)))
    assert told(ticked) == []
    done = story.after(400, Resolve(actor(LIN), Outcome.SAFE)).alert
    assert [i.outcome for i in done.items] == [Outcome.AMBULANCE, Outcome.SAFE]


# How the flats of a list end, in this order (None: by a late check-in), and how the list does.
ENDS = {
    "all by themselves": ([None, None], Outcome.CHECKED_IN),
    "one with the ambulance, the last by themselves": (
        [Outcome.AMBULANCE, Outcome.SAFE, None], Outcome.AMBULANCE,
    ),
    "one was helped, the last is safe": ([None, Outcome.HELPED, Outcome.SAFE], Outcome.HELPED),
    "one is safe, the last by themselves": ([Outcome.SAFE, None], Outcome.SAFE),
}  # fmt: skip


@pytest.mark.parametrize(("flats", "end"), ENDS.values(), ids=ENDS.keys())
def test_a_list_ends_as_its_gravest_flat(flats: list[Outcome | None], end: Outcome) -> None:
    """"All are well" is said only when every resident has said so."""
    story = Story(kind=Kind.MISSED, items=a_list(len(flats)))
    for who, outcome in enumerate(flats, 1):
        event = SettleItem(who, outcome, actor(LIN)) if outcome else CheckedIn([who])
        story.after(60 * who, event)
    assert (story.alert.state, story.alert.outcome) == (State.RESOLVED, end)
    words = "checked_in" if end is Outcome.CHECKED_IN else "closed"
    assert {template for _, template in told(story.last)} == {words}
    about = {e.about for e in story.last.effects if isinstance(e, Tell)}
    assert about == ({"all"} if end is Outcome.CHECKED_IN else {end.value})


def test_the_rest_is_safe_and_one_went_with_the_ambulance() -> None:
    """"All safe" is said of the flats that were left; the list is what the gravest of it was."""
    story = Story(kind=Kind.MISSED, items=ITEMS)
    story.after(60, SettleItem(87, Outcome.AMBULANCE, actor(LIN)))
    assert story.after(90, Resolve(actor(LIN), Outcome.SAFE)).alert.outcome is Outcome.AMBULANCE


def test_flats_found_missing_later_join_the_same_list() -> None:
    """A second sweep of the same round adds its flats once, and tells nobody twice."""
    story = Story(kind=Kind.MISSED, items=ITEMS[:1])
    decision = story.after(5, AddItems(ITEMS))
    assert (decision.reason, decision.effects) == (Reason.ITEM_ADDED, ())
    assert decision.alert.items == ITEMS


def test_the_frozen_ladder_decides() -> None:
    """An alert climbs by the ladder it was opened with, whatever the default is today."""
    story = Story()
    quick = core.replace(story.alert, ladder=core.replace(SOS_LADDER, lease_s=30))
    decision = core.decide(core.Situation(quick, ROSTER), Accept(actor(LIN)), later(10))
    assert decision.alert.lease_until == later(40)


def test_a_visit_that_nobody_made_is_over() -> None:
    """An alert that a former release left at the door with nobody there: a press calls anew, and
    is never refused for what is written about others."""
    story = Story()
    visited = story.after(30, Arrive(actor(LIN))).alert
    gone = tuple(replace(r, on_scene_at=None) for r in visited.responders)
    situation = core.Situation(replace(visited, responders=gone), ROSTER)
    decision = core.decide(situation, PressedAgain(), later(60))
    assert decision.alert.state is State.OPEN
    assert {name for name, _ in told(decision)} == {"林桂芳", "何国强", "黎瑞芳"}


def test_many_presses_in_one_breath_count_and_are_told_as_one() -> None:
    """A terminal that presses without end: the number is true, and the helper has one text."""
    story = Story()
    story.after(20, Accept(actor(LIN)))
    decision = story.after(30, PressedAgain(fall=True, times=49))
    assert (decision.alert.presses, decision.alert.fall) == (50, True)
    assert len(told(decision)) == 1
