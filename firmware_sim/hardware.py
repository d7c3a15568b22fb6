"""What a terminal is made of and stands in: battery, plug, clock chip, radio. Pure.

These are facts, and the program's memory is not among them: they hold while it hangs, while it
starts anew, and while the terminal is dark. A driver keeps them over the gap and gives them to the
next `power_on`, which reads them as real firmware reads its pins.

The clock is a chip of its own. As on most boards it has a coin cell, so a power cut changes
nothing: an unset clock stays unset, one that jumped stays wrong, until a `time` command. A board
without the cell (`Traits.clock_cell`) has forgotten the time after each power cut; a restart by
the watchdog or by command costs neither of them the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from firmware_sim import outputs as out
from firmware_sim.battery import LOW_CLEARED_AT, Battery


@dataclass(frozen=True, slots=True)
class Hardware:
    """The facts at one moment. `skew_ms`: how far the clock was ahead at `set_ms`, since when
    `drift_ppm` adds up; `rssi` in dBm."""

    battery: Battery = field(default_factory=Battery)
    clock_ok: bool = True
    skew_ms: int = 0
    drift_ppm: int = 0
    set_ms: int = 0
    rssi: int = -61
    rssi_spread: int = 0

    @property
    def powered(self) -> bool:
        """Whether there is anything to run on: a plug with power, or a battery, empty or not."""
        return self.battery.mains or self.battery.fitted

    def clock_ms(self, now_ms: int) -> int:
        """What the clock chip shows: jumped, and drifted since it was set."""
        drifted_ms = (now_ms - self.set_ms) * self.drift_ppm // 1_000_000
        return now_ms + self.skew_ms + drifted_ms

    def after(self, event: Befalls, now_ms: int) -> Hardware:
        """The facts once something has befallen them, whatever the program is doing."""
        battery = self.battery
        match event:
            case out.MainsChanged(present):
                battery = battery.switched(present, now_ms)
                if battery.level_pct > LOW_CLEARED_AT:
                    battery = replace(battery, low_told=False)
                return replace(self, battery=battery)
            case out.TemperatureRead(temp_c):
                return replace(self, battery=battery.at_temperature(temp_c, now_ms))
            case out.BatterySet(level_pct):
                low_told = battery.low_told and level_pct <= LOW_CLEARED_AT
                battery = replace(battery, level_pct=level_pct, since_ms=now_ms, low_told=low_told)
                return replace(self, battery=battery)
            case out.BatteryFitted(present):
                battery = battery.put_in(present, now_ms)
                if present and battery.level_pct > LOW_CLEARED_AT:
                    battery = replace(battery, low_told=False)
                return replace(self, battery=battery)
            case out.ClockMoved(by_ms):
                if by_ms is None:
                    return replace(self, clock_ok=False)
                return replace(self, skew_ms=self.skew_ms + by_ms)
            case out.ClockDrifts(ppm):
                skew_ms = self.clock_ms(now_ms) - now_ms
                return replace(self, skew_ms=skew_ms, drift_ppm=ppm, set_ms=now_ms)
            case out.RadioRead(rssi, spread):
                return replace(self, rssi=rssi, rssi_spread=spread)
            case _:
                assert_never(event)

    def without_power(self, clock_cell: bool) -> Hardware:
        """After plug and battery were gone both."""
        return self if clock_cell else replace(self, clock_ok=False)


Befalls = (
    out.MainsChanged
    | out.TemperatureRead
    | out.BatterySet
    | out.BatteryFitted
    | out.ClockMoved
    | out.ClockDrifts
    | out.RadioRead
)
BEFALLS: Final = (
    out.MainsChanged,
    out.TemperatureRead,
    out.BatterySet,
    out.BatteryFitted,
    out.ClockMoved,
    out.ClockDrifts,
    out.RadioRead,
)
