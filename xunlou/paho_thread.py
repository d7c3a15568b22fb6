"""Ends a paho client that has a network thread of its own."""

import contextlib

import paho.mqtt.client as mqtt


def end(client: mqtt.Client) -> None:
    """Say goodbye, and wait for the thread. Blocking.

    Having said goodbye the thread ends by itself. Paho 2.1's `loop_stop` looks at it more than
    once, and where it ends in between there is nothing left to wait for: `'NoneType' … 'join'`.
    """
    client.disconnect()
    with contextlib.suppress(AttributeError):
        client.loop_stop()
