"""What the outbox writes down of messages that are under way, each in a transaction of its own: who
is asked, that a provider failed, that a message is to leave later, or no more, or has left.

It decides nothing about sending; that a message has left is written in the transaction of whoever
asks (`ended_so`), as a round is thousands of them.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, RowMapping

from server.channels.base import Refused, Sent
from server.channels.lines import Line, Lines
from server.core import delivery
from server.core.failover import Change
from server.core.words import Channel, Delivery, Fault
from server.database import Database, Tx
from server.service import raising, receipts
from server.service.effects import SOS_LANE
from server.service.house import House
from server.store import outbox

log = logging.getLogger(__name__)
BACKOFF_S = (1, 2, 4, 8, 15)


class Records:
    """Of the messages of some lanes: outbox.Worker decides, this writes."""

    def __init__(
        self, database: Database, house: House, lines: Lines, lanes: Sequence[int]
    ) -> None:
        self._database = database
        self._house = house
        self._lines = lines
        self._lanes = tuple(lanes)

    @property
    def urgent(self) -> bool:
        """Whether these lanes carry what an SOS says."""
        return SOS_LANE in self._lanes

    async def not_begun(self, late: Sequence[RowMapping]) -> None:
        """Make them due again, in the order in which they were."""

        def again(tx: Tx) -> None:
            for message in late:
                outbox.put_back(tx.conn, message, Delivery(message["state"]), message["due_at"])
            tx.queued(*self._lanes)

        await self._database.write(again, urgent=self.urgent)

    async def asked(self, message: RowMapping, line: Line) -> None:
        """Write down who is asked, before they are: only they can be asked about it later."""
        name = line.provider
        await self._database.write(
            lambda tx: outbox.set_message(tx.conn, message["id"], provider=name),
            urgent=self.urgent,
        )

    async def turned(self, line: Line, change: Change | None) -> None:
        """Tell staff that a provider went down, or came back."""
        if change is None:
            return
        house, about = self._house, line.about

        def turned(tx: Tx) -> None:
            if change is Change.WENT_DOWN:
                other = self._lines.other(line)
                detail = f"{about} ({other.about if other else 'no other'})"
                raising.fault(tx, house, Fault.SMS_PROVIDER, about, detail=detail)
            else:
                raising.fault_over(tx, house, Fault.SMS_PROVIDER, [about])

        log.warning("%s: %s", about, change.value)
        await self._database.write(turned)

    async def ours(self, message: RowMapping, found: Sequence[Sent]) -> Sent | None:
        """The one of the provider's copies that is this message's: the same words may have gone
        to this phone before, as another message with an id of its own. The provider keeps no
        words of a call: while another to this phone is in doubt too, neither takes the other's."""

        def unclaimed(conn: Connection) -> Sent | None:
            if message["channel"] == Channel.VOICE and outbox.call_in_doubt(conn, message):
                return None
            claimed = outbox.claimed(conn, [s.provider_id for s in found], message["id"])
            return next((s for s in found if s.provider_id not in claimed), None)

        return await self._database.read(unclaimed) if found else None

    async def dropped(self, message: RowMapping, line: Line | None) -> bool:
        """Whether a message that surely has not left is no longer to leave: it may have waited
        for minutes, and cancelling cannot touch what is leased. If it is, `line` carries it."""

        def drop(tx: Tx) -> bool:
            end = outbox.unwanted(tx.conn, message["id"], tx.now)
            if end is not None and end[0] is Delivery.FAILED:
                receipts.take_delivery(tx, self._house, message["id"], *end)
            elif end is not None:
                outbox.put_back(tx.conn, message, end[0], None)
            elif line is not None and message["provider"] != line.provider:
                outbox.set_message(tx.conn, message["id"], provider=line.provider)
            return end is not None

        return await self._database.write(drop, urgent=self.urgent)

    async def not_now(
        self, message: RowMapping, line: Line | None, state: Delivery
    ) -> None:
        """The provider did not take it (or may have): try again later, or give up in time."""
        if line is not None:
            change = self._lines.failed(line, self._database.clock.now())
            await self.turned(line, change)
        alone = line is not None and self._lines.other(line) is None
        down = line is not None and self._lines.is_down(line)
        wait_s = 0 if down and not alone else BACKOFF_S[min(message["tries"], len(BACKOFF_S) - 1)]
        can_ring = (
            self._house.ways.calls
            and message["channel"] == Channel.SMS
            and message["template"] in [c.value for c in outbox.CALLS]
        )

        def later_or_never(tx: Tx) -> None:
            tried_for = (tx.now - (message["tried_at"] or tx.now)) / tx.speed
            why = delivery.give_up(
                tried_for, urgent=self.urgent, down=down and alone, can_ring=can_ring
            )
            if why is not None:
                receipts.take_delivery(tx, self._house, message["id"], Delivery.FAILED, why)
                return
            due_at = tx.now + tx.real(timedelta(seconds=wait_s))
            outbox.put_back(tx.conn, message, state, due_at)

        await self._database.write(later_or_never, urgent=self.urgent)

    def ended_so(self, tx: Tx, lot: Sequence[tuple[int, Sent | Refused]]) -> None:
        """What became of these messages (by id), in this transaction."""
        taken = {m: result.provider_id for m, result in lot if isinstance(result, Sent)}
        receipts.take_sent(tx, self._house, taken)
        for message_id, result in lot:
            if isinstance(result, Refused):
                receipts.take_delivery(
                    tx, self._house, message_id, Delivery.FAILED, result.error
                )
