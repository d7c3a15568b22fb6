"""A flash chip as hardware has it, and the store that lives on it through wear and power cuts.

A NOR chip erases a whole sector to ones and can then only turn ones into zeros. A power cut stops
it at any byte. After its endurance an erase leaves some bits stuck. `SectorFlash` keeps an image
on it so that `load` never gives anything but the last image saved, or the one being saved when the
power went: each image goes to the next sector of the ring, its seal is written last, and it is
read back before it counts.

Nothing here knows what a terminal is for.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict, dataclass, field
from typing import Final

from firmware_sim.flash import Flash, FlashImage, image_from_json

SECTOR_BYTES: Final = 32 * 1024
"""The small erase block of common chips; the fullest image (128 events, 64 command ids) fits."""
SECTORS: Final = 8
ENDURANCE: Final = 100_000
"""Erase cycles a sector stands: the figure that makers of serial NOR chips guarantee."""
SEAL: Final = struct.Struct("<4sIII")  # mark, generation, length, CRC-32 of the payload
MARK: Final = b"XLF1"


class PowerCut(Exception):
    """The supply went while the chip was busy; what it had done until then is done."""


@dataclass(slots=True)
class Chip:
    """The bytes, the erase counters, and how many more bytes the supply lasts for."""

    sectors: int = SECTORS
    sector_bytes: int = SECTOR_BYTES
    endurance: int = ENDURANCE
    cut_after: int | None = None
    """Bytes that can still be erased or programmed before the power goes; None: no end."""
    memory: bytearray = field(default_factory=bytearray, repr=False)
    erases: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.memory = self.memory or bytearray(b"\xff" * (self.sectors * self.sector_bytes))
        self.erases = self.erases or [0] * self.sectors

    def erase(self, sector: int) -> None:
        """Set a sector to ones, from its first byte on; a worn one keeps some zeros.

        Raises PowerCut with a part of it erased.
        """
        start, length = sector * self.sector_bytes, self._lasts(self.sector_bytes)
        self.memory[start : start + length] = b"\xff" * length
        self.erases[sector] += 1
        if self.erases[sector] > self.endurance:
            self.memory[start + self.erases[sector] % self.sector_bytes] &= 0b1110_1111
            self.memory[start] &= 0b1110_1111
        self._went(length, self.sector_bytes)

    def program(self, at: int, data: bytes) -> None:
        """Clear bits so that `data` stands at `at`, if all its ones still do.

        Raises PowerCut with a part of it written.
        """
        length = self._lasts(len(data))
        for offset in range(length):
            self.memory[at + offset] &= data[offset]
        self._went(length, len(data))

    def read(self, at: int, length: int) -> bytes:
        """Bytes as they stand."""
        return bytes(self.memory[at : at + length])

    def _lasts(self, wanted: int) -> int:
        return wanted if self.cut_after is None else min(wanted, self.cut_after)

    def _went(self, done: int, wanted: int) -> None:
        if self.cut_after is not None:
            self.cut_after -= done
            if done < wanted:
                self.cut_after = None  # the next one comes with a new supply
                raise PowerCut(f"the power went after {done} of {wanted} bytes")


@dataclass(slots=True)
class SectorFlash:
    """One terminal's store on a chip. See `flash.Flash`."""

    chip: Chip = field(default_factory=Chip)
    blank: FlashImage = field(default_factory=FlashImage)

    def load(self) -> FlashImage:
        """The newest image with an unbroken seal; the blank one when there is none."""
        found = [seal for n in range(self.chip.sectors) if (seal := self._sealed(n)) is not None]
        if not found:
            return self.blank
        _, payload = max(found)
        return image_from_json(payload.decode())

    def save(self, image: FlashImage) -> None:
        """Write the image beside the ones before it.

        Raises OSError when no sector holds it any more, and PowerCut when the supply goes; the
        image before stays readable in both cases.
        """
        payload = json.dumps(asdict(image), ensure_ascii=False, separators=(",", ":")).encode()
        if SEAL.size + len(payload) > self.chip.sector_bytes:
            raise OSError(f"flash: an image of {len(payload)} bytes is larger than a sector")
        newest, generation = self._newest()
        for step in range(1, self.chip.sectors):  # never over the newest: it is all we have
            sector = (newest + step) % self.chip.sectors
            if self._written(sector, generation + 1, payload):
                return
        raise OSError("flash: worn out, no sector holds what is written to it")

    @property
    def wear(self) -> float:
        """How much of its life the most used sector has behind it; 1.0 is the maker's promise."""
        return max(self.chip.erases) / self.chip.endurance

    def _newest(self) -> tuple[int, int]:
        """The sector and generation of the newest image; before the first one, (-1, 0)."""
        found = [
            (seal[0], n) for n in range(self.chip.sectors) if (seal := self._sealed(n)) is not None
        ]
        generation, sector = max(found, default=(0, -1))
        return sector, generation

    def _written(self, sector: int, generation: int, payload: bytes) -> bool:
        start = sector * self.chip.sector_bytes
        self.chip.erase(sector)
        self.chip.program(start + SEAL.size, payload)
        # The seal last: a cut before it leaves a sector that never counted.
        seal = SEAL.pack(MARK, generation, len(payload), zlib.crc32(payload))
        self.chip.program(start, seal)
        return self._sealed(sector) == (generation, payload)

    def _sealed(self, sector: int) -> tuple[int, bytes] | None:
        """Generation and payload of a sector, if its seal and sum hold."""
        start = sector * self.chip.sector_bytes
        mark, generation, length, total = SEAL.unpack(self.chip.read(start, SEAL.size))
        if mark != MARK or length > self.chip.sector_bytes - SEAL.size:
            return None
        payload = self.chip.read(start + SEAL.size, length)
        return (generation, payload) if zlib.crc32(payload) == total else None


@dataclass(slots=True)
class TornStore:
    """Another store, written by way of a chip until the chip's supply has failed once. Whatever
    the chip holds after each store, torn or not, is what the other one keeps: a later run goes on
    from it, and must not repeat identities."""

    kept: Flash
    chip: SectorFlash | None
    """None once the power has gone: from then on it is the other store and nothing more."""

    @classmethod
    def before(cls, kept: Flash, after_bytes: int) -> TornStore:
        """The store as it is, and its power about to go. Raises what `kept.load` does."""
        image = kept.load()
        chip = SectorFlash(Chip(), image)
        chip.save(image)
        chip.chip.cut_after = after_bytes
        return cls(kept, chip)

    def load(self) -> FlashImage:
        """The newest image."""
        return self.kept.load()

    def save(self, image: FlashImage) -> None:
        """Replace the image. Raises PowerCut when the supply goes, with the image before or this
        one kept, and OSError when it can't be written."""
        chip = self.chip
        if chip is None:
            self.kept.save(image)
            return
        try:
            chip.save(image)
        except PowerCut:
            self.chip = None
            raise
        finally:
            self.kept.save(chip.load())


class ChipBank:
    """Chips of a fleet, in memory: for runs about power cuts and wear, not for thousands."""

    def __init__(self, first_boot: int = 0, endurance: int = ENDURANCE) -> None:
        self._blank = FlashImage(boot=first_boot)
        self._endurance = endurance
        self._stores: dict[str, SectorFlash] = {}

    def of(self, terminal: str) -> SectorFlash:
        """The store of one terminal."""
        made = SectorFlash(Chip(endurance=self._endurance), self._blank)
        return self._stores.setdefault(terminal, made)

    def close(self) -> None:
        """Nothing to let go of."""
