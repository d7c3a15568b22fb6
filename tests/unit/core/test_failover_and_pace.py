"""When a provider is down, how fast a sender may send, and when a text wakes nobody."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from server.core import failover, pace
from server.core.failover import Change, Health
from server.core.keypress import Key, is_machine, key
from server.core.ladder import SOS_LADDER, Night, at_night
from server.core.messages import Subject
from server.core.rounds import Plan
from server.core.speech import CALLS, LINES, MOST_DOORS, Line, call, doors, line, place
from server.core.words import Channel, Template
from tests.unit.core.people import later


def run(*tries: tuple[float, bool], speed: float = 1.0) -> list[Change | None]:
    """What each try (second, worked) shows."""
    health, seen = Health(), []
    for second, worked in tries:
        now = later(second)
        health, change = (
            failover.worked(health) if worked else failover.failed(health, now, speed)
        )
        seen.append(change)
    return seen


DOWN, BACK = Change.WENT_DOWN, Change.CAME_BACK


@pytest.mark.parametrize(
    ("tries", "seen"),
    [
        ([(0, False), (30, False), (59, False)], [None, None, None]),
        ([(0, False), (30, False), (60, False), (75, False)], [None, None, DOWN, None]),
        ([(0, True), (5, True)], [BACK, None]),
        ([(0, True), (5, False), (30, False), (40, True), (70, False)],
         [BACK, None, None, None, None]),
        ([(0, False), (3600, False)], [None, None]),
        ([(0, False), (60, False), (90, True)], [None, DOWN, BACK]),
    ],
    ids=["not yet", "a minute of it", "well", "a good answer in between", "an hour apart",
         "and back"],
)  # fmt: skip
def test_down_is_a_minute_of_failures_without_a_good_answer(
    tries: list[tuple[float, bool]], seen: list[Change | None]
) -> None:
    """One hiccup, or two with an hour between them, takes no provider out of service."""
    assert run(*tries) == seen


def test_a_demo_that_runs_fast_waits_as_long() -> None:
    """At ten times the speed a minute of ours is ten of the clock's."""
    assert run((0, False), (300, False), (599, False), speed=10) == [None] * 3
    assert run((0, False), (300, False), (600, False), speed=10)[-1] is DOWN


def test_a_provider_that_is_down_is_asked_every_quarter_of_a_minute() -> None:
    """And one that is well, never."""
    assert not failover.probe_due(Health(known=True), later(0))
    assert failover.probe_due(Health(down=True), later(0))
    probed = Health(down=True, probed_at=later(0))
    assert [failover.probe_due(probed, later(s)) for s in (14, 15)] == [False, True]


def test_after_a_probe_one_failed_message_is_enough() -> None:
    """It answers questions and takes no messages: out again at once, and asked less often each
    time; a message that it takes makes it whole."""
    health, waits = Health(down=True), []
    for n in range(5):
        health, back = failover.answered(health)
        assert (back, health.down) == (BACK, False)
        health, gone = failover.failed(health, later(1000 * n))
        assert (gone, health.down) == (DOWN, True)
        waits.append(next(s for s in range(999) if failover.probe_due(health, later(1000 * n + s))))
    assert waits == [30, 60, 120, 120, 120]
    health, _ = failover.answered(health)
    assert failover.worked(health)[0] == Health(known=True)
    assert failover.answered(Health(known=True)) == (Health(known=True), None)


def test_an_sos_never_waits_and_the_others_wait_for_it() -> None:
    """A thousand worklists at ten a second: ten leave, then an SOS at once, in debt if need be;
    the rest goes on as the seconds pass."""
    bucket = pace.refilled(pace.Bucket(10), later(0))
    assert pace.allowed(bucket, 1300, urgent=False) == 10
    bucket = pace.spent(bucket, 10)
    assert pace.allowed(bucket, 1290, urgent=False) == 0
    assert pace.allowed(bucket, 32, urgent=True) == 32
    bucket = pace.spent(bucket, 32)
    assert pace.allowed(pace.refilled(bucket, later(3)), 5, urgent=False) == 0
    assert pace.allowed(pace.refilled(bucket, later(4)), 1290, urgent=False) == 8


def test_a_slow_sender_sends_one_at_a_time_and_an_unlimited_one_all() -> None:
    """One in two seconds still sends; 0 means no limit; a clock that goes back adds nothing."""
    slow = pace.spent(pace.refilled(pace.Bucket(0.5), later(0)), 1)
    assert pace.allowed(pace.refilled(slow, later(1)), 5, urgent=False) == 0
    assert pace.allowed(pace.refilled(slow, later(2)), 5, urgent=False) == 1
    assert pace.allowed(pace.refilled(slow, later(-60)), 5, urgent=False) == 0
    assert pace.allowed(pace.Bucket(0), 1300, urgent=False) == 1300


@pytest.mark.parametrize(
    ("night", "at", "whether"),
    [
        (Night(), time(21, 59), False), (Night(), time(22), True), (Night(), time(3), True),
        (Night(), time(6), False), (Night(time(1), time(5)), time(3), True),
        (Night(time(1), time(5)), time(5), False), (Night(time(0), time(0)), time(0), False),
    ],
)  # fmt: skip
def test_at_night_every_step_rings(night: Night, at: time, whether: bool) -> None:
    """A text beside a sleeping steward wakes nobody; by day the first step leaves them in peace."""
    first = at_night(SOS_LADDER, night, at).steps[0]
    assert (Channel.VOICE in first.channels) is whether
    assert SOS_LADDER.ringing().ringing() == SOS_LADDER.ringing()


FLAT = Subject(11, 3, "A301", 84, True, "4031", ("301", "303"), 4)


@pytest.mark.parametrize("lang", sorted(CALLS))
def test_a_call_says_where_and_never_who(lang: str) -> None:
    """Each language has every call; the door is read figure by figure; age and living situation,
    which an SMS to a steward may say, are not spoken to whoever picks up."""
    assert set(CALLS[lang]) == set(CALLS["zh"])
    assert set(LINES[lang]) == set(Line)
    for template in CALLS[lang]:
        words = call(template, FLAT, lang)
        assert "84" not in words
        if template in (Template.SOS, Template.FALL, Template.DUTY):
            assert words.count("A 3 0 1") == 2
    assert all(line(which, FLAT, lang) for which in Line)
    assert "11" in place(Subject(11), lang)
    assert call(Template.DUTY, FLAT, "zh", {"zh": "广州市榕影路188号", "en": ""}).startswith(
        "巡楼值班。广州市榕影路188号,"
    ), "an office of the district knows no building 11"
    assert call(Template.SOS, FLAT, "ja") == call(Template.SOS, FLAT, "zh")


def test_the_call_of_a_drill_begins_with_the_word_for_it() -> None:
    """Whoever is rung in a drill or a rehearsal must not run for nothing, or be frightened."""
    drill = replace(FLAT, test=True)
    for template in CALLS["zh"]:
        assert call(template, drill, "zh") == "这是测试。" + call(template, FLAT, "zh")
        assert call(template, drill, "en") == "This is a test. " + call(template, FLAT, "en")


@pytest.mark.parametrize(
    ("labels", "zh", "en"),
    [
        (("303",), "3 0 3没有报平安", "flat 3 0 3: no check-in"),
        (("303", "602"), "3 0 3,6 0 2没有报平安", "flat 3 0 3, flat 6 0 2: no check-in"),
        (tuple("12345"), "有5户没有报平安", "5 flats: no check-in"),
        ((), "有0户没有报平安", "0 flats: no check-in"),
    ],
)
def test_a_call_about_a_missed_round_names_the_doors(
    labels: tuple[str, ...], zh: str, en: str
) -> None:
    """A key holder with a landline learns the door from the call alone; many are one walk."""
    subject = Subject(11, labels=labels)
    assert zh in call(Template.MISSED, subject, "zh")
    assert en in call(Template.MISSED, subject, "en")
    assert doors(["1"] * MOST_DOORS, "en").count("flat") == MOST_DOORS


def test_a_terminal_that_nobody_was_given_is_called_by_its_id() -> None:
    """There is no door to read aloud."""
    subject = Subject(0, terminal="t-7", waited_min=2)
    assert "无主终端,t - 7,求助2分钟" in call(Template.DUTY, subject, "zh")
    assert "a terminal without a resident, t - 7" in call(Template.DUTY, subject, "en")


def test_keys_and_machines() -> None:
    """1, 0 and 9 mean something; a machine or a fax is no person, an unknown voice may be one."""
    assert [key(d) for d in ("1", "0", "9", "5", "", "11")] == [
        Key.GO, Key.CANT, Key.REPEAT, None, None, None,
    ]  # fmt: skip
    answers = ("machine_start", "machine_end_beep", "fax", "human", "unknown", "")
    assert [is_machine(a) for a in answers] == [True, True, True, False, False, False]


def test_a_round_rings_its_residents_inside_its_window() -> None:
    """A call after the round is due, or before it opens, is a mistake in the plan."""
    opens, prompt, due = time(4, 30), time(5, 45), time(6)
    assert Plan("m", opens, prompt, due, call_at=time(5, 50)).call_at == time(5, 50)
    for wrong in (time(4, 30), time(6), time(7)):
        with pytest.raises(ValueError, match="call_at"):
            Plan("m", opens, prompt, due, call_at=wrong)


def test_the_bucket_is_bounded() -> None:
    """A storm of SOS can't hold up the worklists for ever."""
    bucket = pace.spent(pace.refilled(pace.Bucket(10), later(0)), 10_000)
    assert bucket.level == -100
    assert timedelta(seconds=11) > timedelta(seconds=-bucket.level / bucket.per_s)


def test_servers_share_what_the_carrier_lets_pass() -> None:
    """Two send half each; who is alone again sends all of it. A debt is not forgiven."""
    alone = pace.refilled(pace.Bucket(10), later(0))
    half = pace.refilled(pace.shared(alone, 10, 2), later(0))
    assert pace.allowed(half, 100, urgent=False) == 5
    assert pace.allowed(pace.refilled(pace.spent(half, 5), later(1)), 100, urgent=False) == 5
    assert pace.allowed(half, 100, urgent=True) == 100
    again = pace.refilled(pace.spent(pace.shared(half, 10, 1), 5), later(1))
    assert pace.allowed(again, 100, urgent=False) == 10
    owing = pace.shared(pace.spent(alone, 30), 10, 2)
    assert pace.allowed(pace.refilled(owing, later(3)), 100, urgent=False) == 0
    assert pace.shared(alone, 10, 0).per_s == 10, "nobody seen: we are there all the same"
    assert pace.allowed(pace.shared(pace.Bucket(0), 0, 2), 7, urgent=False) == 7, "no limit"
