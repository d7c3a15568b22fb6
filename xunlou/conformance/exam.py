"""The examination: plays the gateway for one terminal, asks the tester for presses and cuts.

Run it on a broker where no gateway of ours answers that terminal, or the receipts that it
withholds will come from there. It ends by itself: each wait has a limit. A real terminal goes home
to somebody afterwards: what was set for the examination is set back, however it ends.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from xunlou.conformance.points import OBEYED_S, Did, Finding, Heard, Record, judge
from xunlou.paho_thread import end

Ask = Callable[[str], Awaitable[None]]
"""Tells the tester what to do next: `power_on`, `press`, `cut`, `power_again`."""
WITHHELD_S: Final = 17.0
"""Long enough for the resends after 2, 4, 8 and 15 s."""
LISTEN_S: Final = 20.0
HEARTBEAT_S: Final = 5
CONFIG_VERSION: Final = 7
ANSWER_S: Final = 10.0
OWN_S: Final = {"hb_s": 900, "cfg_v": 0}
"""What a terminal is given back that never said what it had: the contract's usual figures."""


class NoTerminal(Exception):
    """Nothing was heard of the terminal at all."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the examination takes place. `now_ms`: the clock that the terminal is to have; waits
    are divided by `speed`. `patience_s`: real seconds a person has for each thing asked."""

    host: str
    port: int
    username: str
    password: str
    now_ms: Callable[[], int]
    speed: float = 1.0
    patience_s: float = 120.0
    ca: str = ""
    """The authority's certificate, where the broker wants TLS."""


class Examiner:
    """One examination of one terminal."""

    def __init__(self, bench: Bench, terminal: str, ask: Ask) -> None:
        self._bench = bench
        self._ask = ask
        self._prefix = f"xunlou/v1/t/{terminal}"
        self._changed = asyncio.Event()
        self.record = Record(terminal)
        self.unrestored = ""
        """The configuration that could not be seen to be set back, as JSON; empty: all is as it
        was."""

    async def examine(self) -> list[Finding]:
        """The whole course, then the verdicts. Raises NoTerminal, and OSError without a broker."""
        async with self._connected():
            await self._ask("power_on")
            if not await self._until(lambda: bool(self._online()), person=True):
                raise NoTerminal(f"nothing was heard of {self.record.terminal}")
            try:
                await self._a_press_without_a_receipt()
                await self._a_press_with_a_receipt()
                await self._commands()
                await self._configuration()
                await self._cuts()
            finally:
                await self._restore()
        self._did("looked_again")
        async with self._connected():  # what the broker has kept, it tells a newcomer
            await self._for(2.0)
        return list(judge(self.record))

    async def _press(self) -> tuple[int, int] | None:
        """Ask for a press; its identity, or None when none came."""
        known = {(e.boot, e.seq) for _, e in self.record.events("sos")}
        before = len(self.record.events("sos"))
        self._did("asked_press")
        await self._ask("press")
        await self._until(lambda: len(self.record.events("sos")) > before, person=True)
        fresh = [(e.boot, e.seq) for _, e in self.record.events("sos")[before:]]
        return next((i for i in fresh if i not in known), fresh[0] if fresh else None)

    async def _a_press_without_a_receipt(self) -> None:
        identity = await self._press()
        await self._for(WITHHELD_S)
        if identity is not None:
            self._receipt(identity)
            await self._for(LISTEN_S)

    async def _a_press_with_a_receipt(self) -> None:
        identity = await self._press()
        if identity is not None:
            self._receipt(identity)
        await self._for(4.0)

    async def _commands(self) -> None:
        now_ms = self._bench.now_ms()
        soon, past = now_ms + 600_000, now_ms - 600_000
        self._command("command", {"cmd_id": "exam-1", "cmd": "prompt", "exp": soon})
        await self._until(lambda: bool(self.record.acks("exam-1")))
        # Who does not know the time can't know what is stale.
        time = {"cmd_id": "exam-2", "cmd": "time", "exp": soon, "now": self._bench.now_ms()}
        self._command("time", time)
        await self._for(OBEYED_S)
        # What it does for a command in time is what must be missing after one past its time.
        self._command("fresh", {"cmd_id": "exam-3", "cmd": "test", "exp": soon})
        await self._until(lambda: bool(self.record.acks("exam-3")))
        await self._for(OBEYED_S)
        self._did("idle")
        await self._for(OBEYED_S)
        for number, word in enumerate(("test", "test", "prompt"), start=4):
            self._command("expired", {"cmd_id": f"exam-{number}", "cmd": word, "exp": past})
            await self._for(OBEYED_S)

    async def _configuration(self) -> None:
        """Only what can be given back: language and volume are told in no status."""
        body = {"cfg_v": CONFIG_VERSION, "hb_s": HEARTBEAT_S}
        self._before = self._online()[-1]
        self._did("config", value=HEARTBEAT_S)
        self._publish("cfg", body)
        await self._until(lambda: self._online()[-1].get("hb_s") == HEARTBEAT_S)
        await self._for(3 * HEARTBEAT_S)

    async def _restore(self) -> None:
        """Give the terminal the heartbeat and version it came with, and see that it has them."""
        if not self.record.when("config"):
            return
        body = {key: self._before.get(key, usual) for key, usual in OWN_S.items()}

        def as_it_was() -> bool:
            latest = self._online()[-1]
            return all(latest.get(key) == self._before.get(key) for key in body)

        self._publish("cfg", body)
        if not await self._until(as_it_was):
            # It is dark, or off the line: the broker keeps the word until it is back.
            self.unrestored = json.dumps(body)
            sent = self._publish("cfg", body, retain=True)
            with contextlib.suppress(ValueError, RuntimeError):
                await asyncio.to_thread(sent.wait_for_publish, ANSWER_S / self._bench.speed)

    def _online(self) -> list[dict[str, Any]]:
        """What it said of itself each time it was there, the last one last."""
        return [dict(s.fields) for _, s in self.record.statuses() if s.s == "online"]

    async def _cuts(self) -> None:
        """An open press, the line cut without a word, the power, and both back."""
        identity = await self._press()
        if identity is not None:
            self._did("left_open", ref=identity)
        statuses = len(self.record.statuses())
        self._did("cut")
        await self._ask("cut")
        await self._until(lambda: len(self.record.statuses()) > statuses, person=True)
        self._did("power")
        statuses = len(self.record.statuses())
        await self._ask("power_again")
        await self._until(lambda: len(self.record.statuses()) > statuses, person=True)
        await self._for(6.0)
        if identity is not None:
            self._receipt(identity)
            await self._for(LISTEN_S)

    # --- the wire -------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        loop, bench = asyncio.get_running_loop(), self._bench
        up = asyncio.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, f"exam-{self.record.terminal}")
        client.username_pw_set(bench.username, bench.password)
        if bench.ca:
            client.tls_set(bench.ca)

        def heard(_client: object, _user: object, message: mqtt.MQTTMessage) -> None:
            known = message.topic.removeprefix(self._prefix).startswith(("/cmd", "/cfg"))
            if not known or message.topic.endswith("/cmd_ack"):
                what = (message.topic, bytes(message.payload), message.retain, message.qos)
                loop.call_soon_threadsafe(self._heard, *what)

        client.on_message = heard
        client.on_connect = lambda c, *_: c.subscribe(f"{self._prefix}/#", qos=1)

        def subscribed(*_: object) -> None:
            loop.call_soon_threadsafe(up.set)

        client.on_subscribe = subscribed
        await asyncio.to_thread(client.connect, bench.host, bench.port)
        client.loop_start()
        self._client = client
        try:
            async with asyncio.timeout(10):
                await up.wait()
            yield
        finally:
            await asyncio.to_thread(end, client)

    def _heard(self, topic: str, payload: bytes, stored: bool, qos: int) -> None:
        self.record.heard.append(Heard(self._bench.now_ms(), topic, payload, stored, qos))
        self._changed.set()

    def _did(self, what: str, **more: Any) -> None:
        self.record.did.append(Did(self._bench.now_ms(), what, **more))

    def _publish(
        self, leaf: str, body: dict[str, Any], *, retain: bool = False
    ) -> mqtt.MQTTMessageInfo:
        payload = json.dumps(body, ensure_ascii=False).encode()
        return self._client.publish(f"{self._prefix}/{leaf}", payload, qos=1, retain=retain)

    def _command(self, what: str, body: dict[str, Any]) -> None:
        self._did(what, cmd_id=body["cmd_id"])
        self._publish("cmd", body)

    def _receipt(self, ref: tuple[int, int]) -> None:
        self._did("receipt", ref=ref)
        body = {"boot": ref[0], "seq": ref[1]}
        cmd_id = f"exam-r-{ref[0]}-{ref[1]}"
        self._publish("cmd", {"cmd_id": cmd_id, "cmd": "receipt", "ref": body})

    # --- waiting --------------------------------------------------------------------------

    async def _for(self, seconds: float) -> None:
        """Listen for so many seconds of the terminal's time."""
        await asyncio.sleep(seconds / self._bench.speed)

    async def _until(self, holds: Callable[[], bool], *, person: bool = False) -> bool:
        """Until something was heard; at most as long as a machine, or a person, may take."""
        most_s = self._bench.patience_s if person else ANSWER_S / self._bench.speed + 2
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        return holds()
