"""Whatever happens to a terminal, no press is lost: properties over random histories."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim import device
from firmware_sim import outputs as out
from firmware_sim.flash import FlashImage, image_from_json
from firmware_sim.state import KEPT_MS, State, Traits
from firmware_sim.wire import NEVER_EXPIRES, Kind, Ref

Identity = tuple[int, int]
T0 = 1_760_000_000_000

ACTIONS = st.one_of(
    st.tuples(st.just("press"), st.sampled_from([Kind.SOS, Kind.CHECKIN, Kind.FALL, Kind.TEST])),
    st.tuples(st.just("wait"), st.integers(0, 90_000)),
    st.tuples(st.just("line"), st.booleans()),
    st.tuples(st.just("mains"), st.booleans()),
    # The centre answers what it got, the n-th identity of all that arrived.
    st.tuples(st.just("receipt"), st.integers(0, 20)),
    # The power goes in the middle of the next input, after so many of its outputs.
    st.tuples(st.just("cut"), st.integers(0, 6)),
)


class World:
    """A terminal, its flash, and a centre that writes down what arrived."""

    def __init__(self) -> None:
        self.now_ms = T0
        self.flash = FlashImage()
        self.arrived: dict[Identity, Kind] = {}
        self.attempts: list[tuple[int, Identity, int]] = []
        self.stored: dict[Identity, tuple[Kind, int]] = {}
        self.receipted: set[Identity] = set()
        self.cut_after: int | None = None
        self.state: State
        self.power_on()

    def power_on(self) -> None:
        self.carry_out(device.power_on("t-1", Traits(), self.flash, self.now_ms))

    def carry_out(self, stepped: device.Stepped) -> None:
        self.state = stepped.state
        for number, output in enumerate(stepped.outputs):
            if self.cut_after is not None and number >= self.cut_after:
                self.cut_after = None
                self.power_on()
                return
            match output:
                case out.Persist(image):
                    self.flash = image
                case out.Publish(topic=topic, payload=payload, ref=Ref(boot, seq), attempt=attempt):
                    body = json.loads(payload)
                    assert (body["boot"], body["seq"]) == (boot, seq)
                    # Written before publishing, or a cut here would lose it.
                    assert Ref(boot, seq) in {event.ref for event in self.flash.events}
                    kind = Kind(topic.rsplit("/", 1)[1])
                    assert self.arrived.setdefault((boot, seq), kind) is kind
                    self.attempts.append((self.state.boot, (boot, seq), attempt))
                case out.Stored(Ref(boot, seq), kind, _):
                    assert (boot, seq) not in self.stored, "an identity was given out twice"
                    self.stored[(boot, seq)] = (kind, self.now_ms)

    def give(self, event: out.Input) -> None:
        self.carry_out(device.step(self.state, event, self.now_ms))

    def do(self, what: str, value: object) -> None:
        match what, value:
            case "press", Kind() as kind:
                self.give(out.Pressed(kind))
            case "wait", int(ms):
                self.wait(ms)
            case "line", bool(up):
                if up != self.state.connected:
                    self.give(out.Connected() if up else out.Disconnected())
            case "mains", bool(present):
                self.give(out.MainsChanged(present))
            case "cut", int(outputs):
                self.cut_after = outputs
            case "receipt", int(number):
                if self.state.connected and self.arrived:
                    self.receipt(list(self.arrived)[number % len(self.arrived)])

    def receipt(self, identity: Identity) -> None:
        self.receipted.add(identity)
        ref = {"boot": identity[0], "seq": identity[1]}
        body = {"cmd_id": f"r-{identity}", "cmd": "receipt", "ref": ref}
        self.give(out.CommandArrived(json.dumps(body).encode()))

    def wait(self, ms: int) -> None:
        end_ms = self.now_ms + ms
        for _ in range(10_000):
            due_ms = device.next_wakeup(self.state, self.now_ms)
            if due_ms is None or due_ms > end_ms:
                self.now_ms = end_ms
                return
            assert due_ms >= self.now_ms
            self.now_ms = due_ms
            self.give(out.Tick())
        raise AssertionError("the terminal asks to be woken without end")

    def held(self) -> set[Identity]:
        return {(event.ref.boot, event.ref.seq) for event in self.flash.events}


def lived(actions: list[tuple[str, object]]) -> World:
    world = World()
    for what, value in actions:
        world.do(what, value)
    return world


@given(st.lists(ACTIONS, max_size=40))
@settings(max_examples=150, deadline=None)
def test_a_press_is_in_flash_or_receipted_whatever_happens(
    actions: list[tuple[str, object]],
) -> None:
    """Power cuts between any two outputs, dropped lines, stray receipts: nothing is lost."""
    world = lived(actions)
    for identity, (kind, at_ms) in world.stored.items():
        too_old = kind not in NEVER_EXPIRES and world.now_ms - at_ms >= KEPT_MS
        assert identity in world.held() or identity in world.receipted or too_old


@given(st.lists(ACTIONS, max_size=40))
@settings(max_examples=100, deadline=None)
def test_with_a_line_and_a_centre_everything_is_told_in_the_end(
    actions: list[tuple[str, object]],
) -> None:
    """From any history, a connection and answers empty the flash."""
    world = lived(actions)
    world.cut_after = None
    if not world.state.connected:
        world.give(out.Connected())
    world.wait(301_000)
    for identity in list(world.held()):
        assert identity in world.arrived
        world.receipt(identity)
    assert world.held() == set()
    assert not world.state.buzzing


@given(st.lists(ACTIONS, max_size=40))
@settings(max_examples=100, deadline=None)
def test_attempts_of_one_identity_rise_by_one_within_a_boot(
    actions: list[tuple[str, object]],
) -> None:
    """attempt is 1, 2, 3 … for each identity until a power cut starts the count anew."""
    counts: dict[tuple[int, Identity], int] = {}
    for boot, identity, attempt in lived(actions).attempts:
        assert attempt == counts.get((boot, identity), 0) + 1
        counts[(boot, identity)] = attempt


@given(st.lists(ACTIONS, max_size=40))
@settings(max_examples=100, deadline=None)
def test_identities_never_repeat_or_go_back(actions: list[tuple[str, object]]) -> None:
    """(boot, seq) rises from press to press, over any power cuts."""
    identities = list(lived(actions).stored)
    assert identities == sorted(set(identities))


@given(st.lists(ACTIONS, max_size=30))
@settings(max_examples=50, deadline=None)
def test_an_image_survives_the_file(actions: list[tuple[str, object]]) -> None:
    """What is written to a flash file is read back equal, command ids included."""
    from dataclasses import asdict

    image = lived(actions).state.image
    again = image_from_json(json.dumps(asdict(image)))
    assert again == image
    assert again.seen == image.seen


@given(st.binary(max_size=1200) | st.text().map(str.encode))
@settings(max_examples=200, deadline=None)
def test_no_bytes_from_the_network_break_a_terminal(payload: bytes) -> None:
    """Commands, configuration and server state survive anything."""
    world = World()
    world.give(out.Connected())
    for event in (
        out.CommandArrived(payload),
        out.ConfigArrived(payload),
        out.ServerStateArrived(payload),
    ):
        world.give(event)
