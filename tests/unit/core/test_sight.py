"""Whether we see: a table of what gateways and canaries said, and what follows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.core.sight import Gateway, Limits, Part, Sight, ails, look

NOW = datetime(2026, 3, 14, 6, 10, tzinfo=UTC)
LIMITS = Limits(
    gap=timedelta(seconds=60), settle=timedelta(seconds=15), forget=timedelta(hours=24),
    second=timedelta(seconds=1),
)  # fmt: skip


def ago(seconds: float) -> datetime:
    """So many seconds before now."""
    return NOW - timedelta(seconds=seconds)


def gateway(
    heard: float = 1, sos: float = 10, bulk: float = 10, back: float = 30, *,
    resumed: float = 3600, name: str = "gw-1",
) -> Gateway:
    """A gateway with canaries, by ages in seconds."""
    return Gateway(
        name, ago(heard), ago(resumed), 20.0, ago(sos), ago(bulk), ago(back)
    )


PLAIN = Gateway("gw-1", ago(1), ago(3600))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (gateway(), None),
        (gateway(sos=60, bulk=60, back=80), None),  # at the limits
        (gateway(heard=60), None),
        (gateway(heard=60.001), Part.GATEWAY),
        (gateway(sos=60.001), Part.SOS_LANE),
        (gateway(bulk=60.001), Part.BULK_LANE),
        (gateway(sos=61, bulk=61), Part.BROKER),
        (gateway(back=80.001), Part.RECEIPTS),
        (replace(gateway(), returned_at=None), Part.RECEIPTS),
        (gateway(heard=61, sos=61, bulk=61), Part.GATEWAY),  # the nearest cause is named
        (PLAIN, None),  # it sends no canaries: its word is all there is
        (replace(PLAIN, heard_at=ago(61)), Part.GATEWAY),
        (replace(gateway(sos=200, bulk=200, back=200), every_s=120.0), None),  # three of its own
        (replace(gateway(sos=361, bulk=361, back=361), every_s=120.0), Part.BROKER),
    ],
)
def test_the_failing_part_is_named(given: Gateway, part: Part | None) -> None:
    """Each silence points at one part of the chain, with the limit itself still well."""
    assert ails(given, NOW, LIMITS) is part


def test_the_clock_of_a_demo_runs_faster_and_the_limits_with_it() -> None:
    """At sixty times the speed, a minute by the clock is a second of our machinery."""
    fast = Limits(*(span * 60 for span in (LIMITS.gap, LIMITS.settle, LIMITS.forget)),
                  second=timedelta(seconds=60))  # fmt: skip
    assert ails(gateway(sos=3600, bulk=3600, back=3600), NOW, fast) is None
    assert ails(gateway(sos=3601, bulk=3601, back=3600), NOW, fast) is Part.BROKER


def test_nobody_was_ever_heard() -> None:
    """An office that is being set up is neither blind nor fit to judge."""
    assert look([], NOW, LIMITS) == Sight(None, None, None, settled=False, impaired={})


@pytest.mark.parametrize(
    ("gateways", "blind", "since"),
    [
        ([gateway(heard=300, sos=310, bulk=310)], Part.GATEWAY, 300),
        ([gateway(sos=100, bulk=120)], Part.BROKER, 120),  # what both lanes have proved
        ([gateway(bulk=90)], Part.BULK_LANE, 90),
        ([replace(PLAIN, heard_at=ago(90))], Part.GATEWAY, 90),
        # Two gateways, two troubles: one outage, since the last of both, named by the one heard.
        ([gateway(heard=300), gateway(sos=100, bulk=100, name="gw-2")], Part.BROKER, 100),
        ([gateway(heard=70), gateway(heard=90, name="gw-2")], Part.GATEWAY, 70),
    ],
)
def test_blind_since_the_last_proof(gateways: list[Gateway], blind: Part, since: float) -> None:
    """With no gateway that sees we are blind, from the last instant that is certain."""
    seen = look(gateways, NOW, LIMITS)
    assert (seen.blind, seen.since, seen.settled) == (blind, ago(since), False)
    assert seen.impaired == {}


def test_one_gateway_of_two_fails() -> None:
    """The other one sees for all; the failing one is named, until it is taken out of service."""
    well = gateway(name="gw-2")
    for part, ill in (
        (Part.BROKER, gateway(sos=100, bulk=100)),
        (Part.GATEWAY, gateway(heard=86_400)),
        (Part.RECEIPTS, gateway(back=100)),
    ):
        seen = look([ill, well], NOW, LIMITS)
        assert (seen.blind, seen.settled, seen.impaired) == (None, True, {"gw-1": part})
    assert look([gateway(heard=86_401), well], NOW, LIMITS).impaired == {}


def test_receipts_that_do_not_return_hide_no_press() -> None:
    """What residents say still arrives: they are judged, and the fault is told."""
    seen = look([gateway(back=500)], NOW, LIMITS)
    assert (seen.blind, seen.settled, seen.impaired) == (None, True, {"gw-1": Part.RECEIPTS})


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (gateway(resumed=16, sos=15, bulk=15), True),
        (gateway(resumed=15, sos=15, bulk=15), True),
        (gateway(resumed=14, sos=13, bulk=13), False),  # the terminals are not all back yet
        (gateway(resumed=16, sos=15, bulk=17), False),  # the check-ins' queue is still coming in
        (gateway(resumed=16, sos=17, bulk=15), False),
        (replace(PLAIN, resumed_at=ago(15)), True),
        (replace(PLAIN, resumed_at=ago(14)), False),
    ],
)
def test_the_queue_is_drained_before_anybody_is_judged(given: Gateway, settled: bool) -> None:
    """A canary sent after the return stood behind all that was queued: until it has come on both
    lanes, and the terminals had their time, nobody is judged."""
    seen = look([given], NOW, LIMITS)
    assert (seen.blind, seen.settled) == (None, settled)
    assert seen.back_at == given.resumed_at
