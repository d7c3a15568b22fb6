"""What the gateway has counted since it started. Figures only, never who or where."""

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counters:
    """Plain integers, written from the event loop's thread alone."""

    received: int = 0
    """Messages taken from the broker, copies that the other lane owns not among them."""
    sent: int = 0
    """Entries the server answered for with 200."""
    posts: int = 0
    """POSTs of signals answered with 200."""
    receipts: int = 0
    """Receipts handed to the broker connection."""
    duplicates: int = 0
    """Signals the server already had."""
    quarantined: int = 0
    """Signals the server did not take in: unknown or revoked terminal."""
    rejects: int = 0
    """Messages that broke the contract, or that the server refused one by one."""
    lost_rejects: int = 0
    """Refused entries whose reject was refused as well: dropped, with an error in the log."""
    pubacks: int = 0
    """Messages acknowledged to the broker."""
    retries: int = 0
    """POSTs that have to be made again."""
    coalesced: int = 0
    """Heartbeats replaced by a newer one of the same terminal before they were sent."""
    readopted: int = 0
    """Messages redelivered after a reconnect while their first copy still waited here."""
    laid_aside: int = 0
    """Times an entry was laid aside because the server broke on it alone."""
    reconnects: int = 0
    """Broker connections made, the first of each lane among them."""
    pauses: int = 0
    """Times a lane stopped reading because it held its bound of un-acked messages."""
    commands: int = 0
    """Commands the broker has acknowledged."""
    commands_unsendable: int = 0
    """Commands that name no terminal or carry no object."""

    canaries: int = 0
    """Canaries sent, on both lanes."""
    canaries_back: int = 0
    """Canaries whose receipt has come back through the whole chain."""

    def as_dict(self) -> dict[str, int]:
        """All figures by name, for a metrics page or a log line."""
        return asdict(self)
