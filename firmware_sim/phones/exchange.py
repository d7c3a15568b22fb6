"""The telephone exchange: carries a text to a phone or to the server and tells how it went.

It must never carry anything outside this process except signed posts to the server's webhooks,
and never tell the server that a text was delivered before it lies on the phone.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from firmware_sim.phones.calls import Call, Calls
from firmware_sim.phones.config import PhonesConfig
from firmware_sim.phones.faults import Faults, Twist
from firmware_sim.phones.keywords import REPLIES, OptOutType, opt_out_type
from firmware_sim.phones.ledger import Ledger, Message, new_sid
from firmware_sim.phones.segments import count_segments
from firmware_sim.phones.stewards import OnThePhone, Stewards
from firmware_sim.phones.webhooks import PostResult, WebhookSender, twiml_messages

API_VERSION = "2010-04-01"
log = logging.getLogger(__name__)


class Exchange:
    """State of one run: ledger, opt-outs, faults, automatic stewards, work under way."""

    def __init__(self, config: PhonesConfig) -> None:
        self.config = config
        self.ledger = Ledger(config.phones, config.max_messages)
        self.faults = Faults()
        self.stewards = Stewards(config.seed)
        self.auto_answer = config.auto_answer
        self.opted_out: set[tuple[str, str]] = set()  # (the person's number, our number)
        self.calls = Calls(config.account_sid, self.ask, config.clock, self.ledger.rang)
        self._sender: WebhookSender | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the way to the server and start the automatic stewards' watch."""
        self._sender = WebhookSender(self.config.auth_token, self.config.webhook_timeout_s)
        self._ticker = asyncio.create_task(self._watch())
        self._ticker.add_done_callback(self._finished)

    async def stop(self) -> None:
        """Drop what is under way; a provider's end is not a delivery."""
        tasks = [*self._tasks, *([self._ticker] if self._ticker else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._sender:
            await self._sender.close()

    @property
    def in_flight(self) -> int:
        """Messages accepted and not yet settled."""
        return len(self._tasks)

    def set_auto_answer(self, on: bool) -> None:
        """Let the phones answer by themselves, or leave every alert to people."""
        self.auto_answer = on
        if not on:
            self.stewards.stop()

    def submit(
        self,
        to_number: str,
        body: str,
        *,
        status_callback: str | None = None,
        messaging_service_sid: str | None = None,
        direction: str = "outbound-api",
        author: str = "server",
        twist: Twist | None = None,
    ) -> Message:
        """Accept a text for a phone. It is on its way in the background when this returns."""
        now_s = self.config.clock()
        by_service = messaging_service_sid is not None
        message = Message(
            phone=to_number,
            direction=direction,
            body=body,
            status="accepted" if by_service else "queued",
            created_s=now_s,
            updated_s=now_s,
            # A service picks the sender later; until then the provider counts no segments.
            num_segments=0 if by_service else count_segments(body),
            sid=new_sid(),
            from_number=None if by_service else self.config.from_number,
            to_number=to_number,
            messaging_service_sid=messaging_service_sid,
            status_callback=status_callback,
            author=author,
        )
        self.ledger.add(message)
        self._spawn(self._carry(message, twist or Twist()))
        return message

    async def answer(self, number: str, body: str, *, author: str) -> Message:
        """The person with this phone sends a text; returns once the server's answer is known."""
        now_s = self.config.clock()
        message = Message(
            phone=number,
            direction="inbound",
            body=body,
            status="received",
            created_s=now_s,
            updated_s=now_s,
            sent_s=now_s,
            num_segments=count_segments(body),
            sid=new_sid(),
            from_number=number,
            to_number=self.config.from_number,
            on_phone=True,
            read=True,
            author=author,
        )
        self.ledger.mark_read(number)
        self.ledger.add(message)
        if author == "person":
            self.stewards.typed(number, body)
        keyword = opt_out_type(body)
        self._note_keyword(number, keyword)
        result = await self._post(self.config.inbound_url, self._inbound(message, keyword))
        message.webhook = result
        self.ledger.touch(message)
        return message

    def place(self, call: Call) -> Call:
        """Take a call on. It rings in the background when this returns."""
        if self.config.rings_s is not None:
            call.timeout_s = self.config.rings_s
        self.calls.add(call)
        self._spawn(self._ring(call))
        return call

    async def _ring(self, call: Call) -> None:
        fate = self.faults.take_call(call.phone)
        await self._pause(self.config.sent_delay_s)
        if fate == "call_failed":
            await self.calls.fail(call, "failed")
            return
        await self.calls.ring(call)
        match fate:
            case "busy":
                await self.calls.fail(call, "busy")
            case "no_answer":
                await self.calls.fail(call, "no-answer")
            case "machine":
                await self.calls.answer(call, "machine_start")
            case "fax":
                await self.calls.answer(call, "fax")
            case "picks_up":
                await self.calls.answer(call)
            case _ if self.auto_answer:
                role = self.ledger.entry(call.phone).role
                self.stewards.rung(call.phone, role, call.sid, self.config.clock())
            case _:
                pass

    async def ask(self, url: str, params: dict[str, str]) -> PostResult:
        """Post to the server, signed, and hand its answer back."""
        if self._sender is None:
            return PostResult(None, problem="not started")
        result = await self._sender.post(url, params)
        if result.status is None or not 200 <= result.status < 300:
            log.warning("post to %s: %s", url, result.summary)
        return result

    def _note_keyword(self, number: str, keyword: OptOutType | None) -> None:
        pair = (number, self.config.from_number)
        match keyword:
            case None:
                return
            case "STOP":
                self.opted_out.add(pair)
            case "START":
                self.opted_out.discard(pair)
            case "HELP":
                pass
        # The provider's own reply goes out even to a number that has just opted out.
        self.submit(number, REPLIES[keyword], direction="outbound-reply", author="provider")

    async def _post(self, url: str, params: dict[str, str]) -> str:
        if self._sender is None:
            return "not started"
        result = await self._sender.post(url, params)
        if result.status is None or not 200 <= result.status < 300:
            log.warning("post to %s: %s", url, result.summary)
        elif params.get("SmsStatus") == "received":
            number = params["From"]
            for words in twiml_messages(result.text):
                if (number, self.config.from_number) not in self.opted_out:
                    self.submit(number, words, direction="outbound-reply")
        return result.summary

    async def _carry(self, message: Message, twist: Twist) -> None:
        """From acceptance to the end, with a signed post at each status, as switches allow."""
        if twist.outcome == "blackhole":
            return
        await self._pause(self.config.sent_delay_s)
        if message.from_number is None:
            message.from_number = self.config.from_number
            message.num_segments = count_segments(message.body)
        if twist.outcome == "failed":
            self._settle(message, "failed", twist.error_code)
            await self._report(message, "failed", twist)
            return
        message.sent_s = self.config.clock()
        self._settle(message, "sent")
        if not twist.out_of_order:
            await self._report(message, "sent", twist)
        await self._pause(self.config.delivered_delay_s)
        if twist.outcome == "undelivered":
            self._settle(message, "undelivered", twist.error_code)
        else:
            message.on_phone = True
            self._settle(message, "delivered")
            self._arrived(message)
        await self._report(message, message.status, twist)
        if twist.out_of_order:
            await self._report(message, "sent", twist)

    def _arrived(self, message: Message) -> None:
        if message.author == "server":
            self.stewards.told(
                message.phone,
                self.ledger.entry(message.phone).role,
                message.body,
                self.config.clock(),
                engage=self.auto_answer,
            )

    def _settle(self, message: Message, status: str, error_code: int | None = None) -> None:
        message.status = status
        message.error_code = error_code
        message.updated_s = self.config.clock()
        self.ledger.touch(message)

    async def _report(self, message: Message, status: str, twist: Twist) -> None:
        if not message.status_callback:
            return
        params = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": status,
            "SmsStatus": status,
            "To": message.to_number,
            "From": message.from_number or "",
            "AccountSid": self.config.account_sid,
            "ApiVersion": API_VERSION,
        }
        if message.messaging_service_sid:
            params["MessagingServiceSid"] = message.messaging_service_sid
        if status in ("failed", "undelivered") and message.error_code is not None:
            params["ErrorCode"] = str(message.error_code)
        for _ in range(2 if twist.duplicate_callbacks else 1):
            message.webhook = await self._post(message.status_callback, params)

    def _inbound(self, message: Message, keyword: OptOutType | None) -> dict[str, str]:
        """The parameters of an incoming text; the empty ones are sent, and signed, as well."""
        params = {
            "MessageSid": message.sid,
            "SmsMessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "AccountSid": self.config.account_sid,
            "From": message.phone,
            "To": message.to_number,
            "Body": message.body,
            "NumMedia": "0",
            "NumSegments": str(message.num_segments),
            "ApiVersion": API_VERSION,
            "FromCountry": "CN",
            **dict.fromkeys(("FromState", "FromCity", "FromZip"), ""),
            **dict.fromkeys(("ToCountry", "ToState", "ToCity", "ToZip"), ""),
        }
        if keyword:
            params["OptOutType"] = keyword
        return params

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.config.tick_s)
            if not self.config.calls_wait:
                await self.calls.pass_time(self.config.clock())
            if not self.auto_answer:
                continue
            for act in self.stewards.on_the_phone(self.config.clock()):
                self._spawn(self._take_the_call(act))
            for planned in self.stewards.due(self.config.clock()):
                self._spawn(self._answer_alone(planned.number, planned.body))

    async def _take_the_call(self, act: OnThePhone) -> None:
        call = self.calls.get(act.sid)
        if call is None or call.over:
            return
        if act.digit:
            await self.calls.press(call, act.digit)
        else:
            await self.calls.answer(call, act.who)

    async def _answer_alone(self, number: str, body: str) -> None:
        await self.answer(number, body, author="auto")

    async def _pause(self, virtual_s: float) -> None:
        await asyncio.sleep(virtual_s / self.config.pace)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop keeps only weak references
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a text was lost in the exchange", exc_info=error)
