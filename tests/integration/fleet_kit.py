"""What tests of the simulated fleet need: a plain Mosquitto, and a gateway that answers.

The gateway here is a double on purpose: the simulator knows the wire and nothing of the gateway.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from xunlou.paho_thread import end
from xunlou.ports import free_port


def mosquitto_path() -> str:
    """Where Mosquitto is; skip without it, except in CI, which must not pass without it."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed, and CI must test against it")
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    return found


class RealBroker:
    """A plain Mosquitto that can be killed and started again with what it stored."""

    def __init__(self, folder: Path) -> None:
        self.program = mosquitto_path()
        self.port = free_port()
        self.conf = folder / "mosquitto.conf"
        self.conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
            "max_queued_messages 10000\nlog_dest none\n"
        )
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.child = subprocess.Popen([self.program, "-c", str(self.conf)])
        deadline_s = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline_s, "mosquitto did not come up in 10 s"
                assert self.child.poll() is None, "mosquitto ended at once"

    def stop(self) -> None:
        if self.child is not None:
            self.child.terminate()
            self.child.wait(10)
            self.child = None


class GatewayDouble:
    """Answers each event with a receipt, as the gateway does after the server's commit."""

    def __init__(self, port: int) -> None:
        self.seen: Counter[tuple[str, int, int]] = Counter()
        self.payloads: list[tuple[str, dict[str, object]]] = []
        self.status: dict[str, dict[str, object]] = {}
        self.deaf = False
        self.ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, "gateway", clean_session=False)
        self.client.max_inflight_messages = 1000
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.ready.wait(10)

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe([("xunlou/v1/t/+/evt/+", 1), ("xunlou/v1/t/+/status", 1)])

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        terminal = message.topic.split("/")[3]
        body = json.loads(message.payload)
        if message.topic.endswith("/status"):
            self.status[terminal] = body
            return
        if self.deaf:
            return
        self.seen[(terminal, body["boot"], body["seq"])] += 1
        self.payloads.append((message.topic, body))
        ref = {"boot": body["boot"], "seq": body["seq"]}
        self.command(terminal, f"r-{terminal}-{ref}", "receipt", ref=ref)

    def command(self, terminal: str, cmd_id: str, cmd: str, **fields: object) -> None:
        body = {"cmd_id": cmd_id, "cmd": cmd, **fields}
        self.client.publish(f"xunlou/v1/t/{terminal}/cmd", json.dumps(body), qos=1)

    def close(self) -> None:
        end(self.client)
