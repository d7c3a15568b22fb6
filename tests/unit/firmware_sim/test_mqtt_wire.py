"""The terminal's own MQTT packets: whole, split anywhere, and bytes that are none."""

import pytest

from firmware_sim import mqtt_wire as mqtt


@pytest.mark.parametrize("five", [False, True])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000])
def test_a_message_comes_through_however_it_is_split(five: bool, size: int) -> None:
    """Each packet once, in order, at every cut of the stream."""
    one = mqtt.publish("t/平安", b"x" * size, number=7, retain=False, five=five)
    stream = one + mqtt.puback(3) + mqtt.PING
    for cut in {0, 1, 2, 3, 4, len(one) - 1, len(one), len(stream) - 1}:
        inbox = mqtt.Inbox()
        found = [*inbox.feed(stream[:cut]), *inbox.feed(stream[cut:])]
        assert [kind for kind, _, _ in found] == [mqtt.PUBLISH, mqtt.PUBACK, mqtt.PINGREQ]
        assert mqtt.published(found[0][1], found[0][2], five=five) == ("t/平安", b"x" * size, 7)


def test_a_message_without_a_number_is_qos_0() -> None:
    """And its retained flag stands in the first byte."""
    packet = mqtt.publish("a", b"b", number=None, retain=True, five=False)
    ((kind, flags, body),) = mqtt.Inbox().feed(packet)
    assert (kind, flags) == (mqtt.PUBLISH, 1)
    assert mqtt.published(flags, body, five=False) == ("a", b"b", None)


@pytest.mark.parametrize("bad", [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\x7f"])
def test_what_is_no_packet_is_refused(bad: bytes) -> None:
    """A length without an end, or one that would fill the memory."""
    with pytest.raises(mqtt.BadPacket):
        list(mqtt.Inbox().feed(bad))


@pytest.mark.parametrize("body", [b"", b"\x00\x05ab", b"\x00\x01\xff"])
def test_a_torn_message_is_refused(body: bytes) -> None:
    """Too short for its own words, or no UTF-8."""
    with pytest.raises(mqtt.BadPacket):
        mqtt.published(0b0010, body, five=False)


def test_connect_says_what_the_standard_says() -> None:
    """Byte for byte, as section 3.1 has it: kept session, name, password, retained will."""
    packet = mqtt.connect("t", "pw", ("s", b"w", 1, True), 60, None)
    assert packet == (
        b"\x10\x1a\x00\x04MQTT\x04\xec\x00\x3c\x00\x01t\x00\x01s\x00\x01w\x00\x01t\x00\x02pw"
    )
    five = mqtt.connect("t", "pw", ("s", b"w", 1, True), 60, 3600)
    assert five[8] == 5
    assert b"\x05\x11\x00\x00\x0e\x10" in five
