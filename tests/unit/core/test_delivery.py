"""What each of the provider's codes means for us: retry, another channel, another person."""

from datetime import timedelta

import pytest

from server.core.alerts import DeliveryFailed, Reason, StepDue
from server.core.delivery import (
    NO_ACCOUNT,
    NOT_IN_TIME,
    PROVIDER_DOWN,
    ROUND_WITHIN,
    SOS_WITHIN,
    TROUBLES,
    Blame,
    Remedy,
    blame,
    give_up,
    of_the_account,
    remedy,
    trouble,
)
from server.core.ladder import DEFAULT_LADDERS, Policy
from server.core.words import Channel, Delivery
from tests.unit.core.people import DUTY, HE, LIN, Story, rung, told

RETRY, RING, MOVE = Remedy.RETRY, Remedy.OTHER_CHANNEL, Remedy.OTHER_PERSON
NUMBER, PROVIDER, MOMENT = Blame.NUMBER, Blame.PROVIDER, Blame.MOMENT
TABLE = {
    "30001": (RETRY, PROVIDER), "30002": (RING, PROVIDER), "30003": (MOVE, NUMBER),
    "30004": (RING, NUMBER), "30005": (MOVE, NUMBER), "30006": (RING, NUMBER),
    "30007": (RING, NUMBER), "30008": (RING, NUMBER), "30036": (RETRY, PROVIDER),
    "30410": (RETRY, PROVIDER),
    "21211": (MOVE, NUMBER), "21408": (RING, PROVIDER), "21610": (MOVE, NUMBER),
    "21611": (RETRY, PROVIDER), "21612": (RING, NUMBER), "21614": (RING, NUMBER),
    "21635": (RING, NUMBER),
    "13224": (MOVE, NUMBER), "21210": (RING, PROVIDER), "21214": (MOVE, NUMBER),
    "21215": (RING, PROVIDER), "21216": (RING, PROVIDER), "21217": (MOVE, NUMBER),
    "busy": (RING, MOMENT), "no_answer": (RING, MOMENT), "canceled": (RING, MOMENT),
    "machine": (RING, MOMENT), "unheard": (RING, MOMENT), "call_failed": (RING, NUMBER),
    "20003": (RING, PROVIDER), "20005": (RING, PROVIDER), "21212": (RING, PROVIDER),
    "21606": (RING, PROVIDER), "429": (RETRY, PROVIDER), "20429": (RETRY, PROVIDER),
    "500": (RETRY, PROVIDER), "502": (RETRY, PROVIDER), "503": (RETRY, PROVIDER),
    "504": (RETRY, PROVIDER), "20500": (RETRY, PROVIDER), "20503": (RETRY, PROVIDER),
    "20504": (RETRY, PROVIDER),
    "opted_out": (MOVE, NUMBER), NOT_IN_TIME: (MOVE, PROVIDER), PROVIDER_DOWN: (RING, PROVIDER),
    NO_ACCOUNT: (MOVE, PROVIDER), "away": (MOVE, MOMENT),
}  # fmt: skip


@pytest.mark.parametrize("code", sorted(set(TABLE) | set(TROUBLES)))
def test_each_code_has_its_remedy(code: str) -> None:
    """The table of the trade: what is done, and who is looked after."""
    assert (remedy(code), blame(code)) == TABLE[code]
    assert trouble(code).meaning


def test_what_we_do_not_know_is_rung_and_looked_at() -> None:
    """No code: the number's trouble, so that somebody looks. A strange code: the provider's."""
    assert (remedy(None), blame(None)) == (RING, NUMBER)
    assert (remedy("99999"), blame("99999")) == (RING, PROVIDER)


def test_without_calls_another_channel_is_another_person() -> None:
    """A house that can place no calls does not wait for one."""
    assert remedy("30008", calls=False) is MOVE
    assert remedy("429", calls=False) is RETRY


@pytest.mark.parametrize(
    ("code", "whether"),
    [("20003", True), ("30002", True), ("99999", True), ("21211", False), ("503", False)],
)
def test_another_account_may_take_what_this_one_refuses(code: str, whether: bool) -> None:
    """A dead account is not a dead number."""
    assert of_the_account(code) is whether


@pytest.mark.parametrize(
    ("urgent", "tried", "down", "can_ring", "why"),
    [
        (True, SOS_WITHIN - timedelta(seconds=1), False, True, None),
        (True, SOS_WITHIN, False, True, NOT_IN_TIME),
        (False, SOS_WITHIN, False, True, None),
        (False, ROUND_WITHIN - timedelta(seconds=1), True, False, None),
        (False, ROUND_WITHIN, True, False, NOT_IN_TIME),
        (True, timedelta(0), True, True, PROVIDER_DOWN),
        (True, timedelta(0), True, False, None),
    ],
)
def test_the_sending_deadline(
    urgent: bool, tried: timedelta, down: bool, can_ring: bool, why: str | None
) -> None:
    """Two minutes for an SOS, fifteen for a worklist, counted from the first try; a call for help
    does not wait for a provider that is down when the telephone can ring instead."""
    assert give_up(tried, urgent=urgent, down=down, can_ring=can_ring) == why


def test_the_deadlines_end_before_the_ladder_asks() -> None:
    """A message has failed by the time the next step is taken: the step must know."""
    assert SOS_WITHIN.total_seconds() <= DEFAULT_LADDERS[Policy.SOS].steps[0].wait_s
    assert ROUND_WITHIN.total_seconds() < DEFAULT_LADDERS[Policy.MISSED].steps[0].wait_s


def failed(story: Story, seconds: float, who: int, channel: Channel, what: Remedy):  # type: ignore[no-untyped-def]
    """One message to one person fails."""
    return story.after(seconds, DeliveryFailed(who, channel, what))


def test_a_text_that_a_carrier_took_is_followed_by_a_call_at_once() -> None:
    """OTHER_CHANNEL: this person's telephone rings in the same breath, and the ladder waits; when
    that fails too, nobody is left to wait for."""
    story = Story()
    for person in (LIN, HE):
        story.undelivered(person)
    decision = failed(story, 1, LIN.id, Channel.SMS, RING)
    assert (decision.reason, rung(decision)) == (Reason.OTHER_CHANNEL, [LIN.name])
    assert story.alert.step == 1
    decision = failed(story, 30, LIN.id, Channel.VOICE, RING)
    assert decision.reason is Reason.UNREACHABLE
    assert DUTY.name in [n for n, _ in told(decision)]


def test_a_dead_handset_is_not_rung() -> None:
    """OTHER_PERSON: no call, and with both gone the care centre hears at once."""
    story = Story()
    for person in (LIN, HE):
        story.undelivered(person)
    decision = failed(story, 1, LIN.id, Channel.SMS, MOVE)
    assert DUTY.name in [n for n, _ in told(decision)]


def test_a_call_that_nobody_takes_becomes_a_text_when_none_was_sent() -> None:
    """A step that only rings: the text waits on the telephone until they look."""
    story = Story()
    story.tried[LIN.id] = frozenset({Channel.VOICE})
    decision = failed(story, 30, LIN.id, Channel.VOICE, RING)
    assert (decision.reason, rung(decision)) == (Reason.OTHER_CHANNEL, [])
    assert told(decision) == [(LIN.name, "sos")]


def test_no_receipt_at_all_and_the_telephone_rings_with_the_next_step() -> None:
    """Texts that are "sent" and never confirmed prove nothing: after the first wait those told so
    far are rung, once each; then the last step is repeated."""
    story = Story()
    story.told = dict.fromkeys(story.told, Delivery.SENT)
    story.arrives = Delivery.SENT
    second = story.after(120, StepDue())
    assert {LIN.name, HE.name} <= set(rung(second))
    for seconds in (240, 360, 480):
        story.after(seconds, StepDue())
    again = story.after(600, StepDue())
    assert (again.reason, told(again)) == (Reason.REPEATED, [(DUTY.name, "duty")])


def test_nothing_ever_left_and_everybody_is_called_again_by_every_channel() -> None:
    """The provider was down all the while: when it is back nobody may have been forgotten, least of
    all the two who live next door."""
    story = Story()
    for seconds in (120, 240, 360, 480):
        story.after(seconds, StepDue())
    story.told = dict.fromkeys(story.told, Delivery.FAILED)
    again = story.after(600, StepDue())
    everyone = {p.name for p in story.roster.everyone()}
    assert set(rung(again)) == {n for n, _ in told(again)} == everyone
    assert len(rung(again)) == len(everyone)


def test_what_still_waits_in_the_queue_is_not_queued_again() -> None:
    """The provider is slow: the repeats go to those for whom nothing is waiting."""
    from dataclasses import replace

    from server.core.alerts import Situation, decide
    from tests.unit.core.people import later

    story = Story()
    for seconds in (120, 240, 360, 480):
        story.after(seconds, StepDue())
    story.told = dict.fromkeys(story.told, Delivery.FAILED)
    s = Situation(story.alert, story.roster, story.told, story.tried)
    everyone = {p.id for p in story.roster.everyone()}
    stuck = decide(replace(s, waiting=everyone - {LIN.id}), StepDue(), later(600))
    assert (stuck.reason, told(stuck)) == (Reason.REPEATED, [(LIN.name, "sos")])


def test_one_confirmed_text_and_only_the_last_step_is_repeated() -> None:
    """Somebody surely knows: those who were told are left in peace."""
    story = Story()
    for seconds in (120, 240, 360, 480):
        story.after(seconds, StepDue())
    assert told(story.after(600, StepDue())) == [(DUTY.name, "duty")]


def test_worklists_and_falls_ring_in_their_own_words() -> None:
    """The call says what the text said."""
    from server.core.words import Kind

    fall = Story(fall=True)
    assert told(failed(fall, 1, LIN.id, Channel.SMS, RING)) == [(LIN.name, "fall")]
    missed = Story(kind=Kind.MISSED)
    assert told(failed(missed, 1, LIN.id, Channel.SMS, RING)) == [(LIN.name, "missed")]
    desk = Story()
    for seconds in (120, 240, 360, 480):
        desk.after(seconds, StepDue())
    desk.tried[DUTY.id] = frozenset({Channel.SMS})
    assert told(failed(desk, 250, DUTY.id, Channel.SMS, RING)) == [(DUTY.name, "duty")]
    assert failed(desk, 251, LIN.id, Channel.SMS, MOVE).reason is Reason.UNREACHABLE
