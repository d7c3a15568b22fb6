"""The one packet that says whether a broker lets somebody in. No client library: a look at a broker
must subscribe to nothing, keep nothing, and take over nobody's session."""

KEEPALIVE_S = 10


def connect_packet(client_id: str, user: str, password: str, *, v5: bool = False) -> bytes:
    """CONNECT of MQTT 3.1.1 or 5: a session that ends with the line, and no will."""
    body = b"\x00\x04MQTT" + bytes([5 if v5 else 4, 0xC2]) + KEEPALIVE_S.to_bytes(2, "big")
    if v5:
        body += b"\x00"  # no properties, so the session ends with the line
    for text in (client_id, user, password):
        raw = text.encode()
        body += len(raw).to_bytes(2, "big") + raw
    length, head = len(body), bytearray(b"\x10")
    while True:
        length, digit = divmod(length, 128)
        head.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(head) + body
