"""Every mistake in a scenario that we promise to explain: read by the tests of the loader, which
must refuse all of them, and of the schema, which must refuse those of form.

A mistake of sense is beyond a schema: a name that nobody in the cast has, a time that goes back, a
pattern that is none.
"""

from dataclasses import dataclass

HEAD = """\
name: x
cast:
  her: {terminal: {story: s}}
  one: {phone: {role: steward, building: 11, nth: 1}}
steps:
"""


@dataclass(frozen=True)
class Mistake:
    """A scenario, what its refusal says, and whether its form alone gives it away."""

    text: str
    says: str
    of_form: bool = True


def _whole(steps: str, says: str, of_form: bool = True) -> Mistake:
    return Mistake(f"{HEAD}{steps}\n", says, of_form)


def _step(step: str, says: str, of_form: bool = True) -> Mistake:
    return _whole(f"  - {{at: 0, {step}}}", says, of_form)


SENSE = False

WHOLE = [
    _whole("  - {at: 0, do: {press: hug, on_terminal: her}}", "f.yaml:6: 'hug' can't be pressed"),
    _whole("  - {at: 0, do: {press: help, want: garden, on_terminal: her}}",
           "f.yaml:6: 'want' is one of errand, repair, haircut, wish, other, not 'garden'"),
    _whole("  - {at: 0, do: {press: sos, want: repair, on_terminal: her}}",
           "f.yaml:6: 'want' belongs to 'press: help'", SENSE),
    _whole("  - {at: 0, do: {press: sos, on_terminal: him}}",
           "f.yaml:6: 'him' is no CastTerminal", SENSE),
    _whole("  - {at: 0, do: {reply: '1', from: her}}", "f.yaml:6: 'her' is no CastPhone", SENSE),
    _whole("  - {do: {press: sos, on_terminal: her}}", "f.yaml:6: 'at'"),
    _whole("  - {at: -1, do: {press: sos, on_terminal: her}}", "f.yaml:6: 'at'"),
    _whole("  - {at: 0, do: {dance: yes}}", "f.yaml:6: 'do' needs exactly one of press"),
    _whole("  - {at: 0, expect: {sms: one}}", "f.yaml:6: 'expect' needs one of 'within_s'"),
    _whole("  - {at: 0, expect: {sms: one}, within_s: 1, within_real_s: 1}",
           "f.yaml:6: 'expect' needs one of 'within_s'"),
    _whole("  - {at: 0, expect: {sms: []}, within_s: 1}", "f.yaml:6: 'sms' needs at least one"),
    _whole("  - {at: 0, do: {press: sos, on_terminal: her}, within_s: 1}",
           "f.yaml:6: 'expect' needs one of 'within_s'"),
    _whole("  - {at: 0, title: nothing}", "f.yaml:6: a step has exactly one of"),
    _whole("  - {at: 0, colour: red, do: {press: sos, on_terminal: her}}", "f.yaml:6: unknown"),
    _whole("  - {at: 0, do: {press: sos, on_terminal: her, loud: on}}", "f.yaml:6: unknown"),
    _whole("  - {at: 0, expect: {sms: one, capture: {a: '('}}, within_s: 1}",
           "f.yaml:6: capture 'a'", SENSE),
    _whole("  - {at: 0, expect: {sms: one, capture: {a: 'b'}}, within_s: 1}",
           "f.yaml:6: capture 'a' needs exactly one (group)", SENSE),
    _whole("  - {at: 9, do: {press: sos, on_terminal: her}}\n"
           "  - {at: 1, do: {press: sos, on_terminal: her}}", "f.yaml:7: 'at' goes back", SENSE),
    _whole("  - {at: 0, id: a, do: {press: sos, on_terminal: her}}\n"
           "  - {at: 0, id: a, do: {press: sos, on_terminal: her}}",
           "f.yaml:7: step id 'a' stands there twice", SENSE),
    _whole("  - {at: 0, measure: {from: a, to: b, at_most_s: 1}}",
           "f.yaml:6: no earlier step 'a'", SENSE),
    _whole("  - {at: 0, measure: {from: a, to: b}}", "f.yaml:6: 'measure' needs 'at_most_s'"),
    _whole("  - {at: 0, do: {broker: off}}", "f.yaml:1: 'broker' befalls every scenario"),
    _whole("  []", "f.yaml:1: 'steps' must be a list"),
    Mistake("name: x\ncast: {her: {}}\nsteps: []\n", "f.yaml:2: part 'her' needs 'terminal' or"),
    Mistake("name: x\ncast: {her: {terminal: {profile: lazy}}}\nsteps: []\n",
            "f.yaml:2: 'profile' is one of early"),
    Mistake("steps:\n  - {at: 0, do: {reply: 'x', from: y}}\n", "f.yaml:1: 'name' must be text"),
    # YAML itself: no editor needs a schema to see these.
    _whole("  - {at: 0, at: 1}", "f.yaml:6: 'at' stands there twice", SENSE),
    _whole("  - [", "f.yaml:7", SENSE),
]  # fmt: skip
"""Their refusal is told from its beginning on."""

STEPS = [
    _step("do: {mains: off}", "say where: exactly one of"),
    _step("do: {mains: off, on_terminal: her, in_building: 11}", "say where: exactly one of"),
    _step("do: {mains: off, on_terminal: him}", "'him' is no CastTerminal", SENSE),
    _step("do: {mains: perhaps, on_terminal: her}", "'mains' must be on or off"),
    _step("do: {flap: wind, every_s: 1, on_terminal: her}",
          "'flap' is one of mains, power, network"),
    _step("do: {flap: mains, times: 0, every_s: 1, on_terminal: her}", "'flap' needs 'times'"),
    _step("do: {flap: mains, every_s: 0, on_terminal: her}", "'every_s' above 0"),
    _step("do: {weather: sunny, on_terminal: her}",
          "'weather' is one of clear, wifi, nb_iot, bad_cell"),
    _step("do: {weather: {rain: 1}, on_terminal: her}", "it has drop, duplicate, reorder, delay_s"),
    _step("do: {weather: {drop: 2}, on_terminal: her}", "drop is a chance"),
    _step("do: {weather: {reorder: 0.5}, on_terminal: her}", "reorder needs delay_s"),
    _step("do: {weather: {reorder: 1, delay_s: 0}, on_terminal: her}", "reorder needs delay_s"),
    _step("do: {clock: noon, on_terminal: her}", "'clock' must be a number"),
    _step("do: {battery: 101, on_terminal: her}", "'battery' is a level from 0 to 100"),
    _step("do: {key: blue, on_terminal: her}", "'key' is one of red, green"),
    _step("do: {key: red, held_s: 61, on_terminal: her}", "'held_s' up to 60"),
    _step("do: {blow_g: 17, on_terminal: her}", "from 0 to 16 g"),
    _step("do: {hang: off, on_terminal: her}", "'hang' is 'on'"),
    _step("do: {temperature: 90, on_terminal: her}", "from -40 to 80"),
    _step("do: {drift_ppm: 200000, on_terminal: her}", "from -100000 to 100000"),
    _step("do: {tear_after_bytes: -1, on_terminal: her}", "'tear_after_bytes' is a number"),
    _step("do: {provider: sulks}", "'provider' is one of undelivered"),
    _step("do: {provider: failed, count: 0}", "from 1 to 1000"),
    _step("do: {provider: failed, phone: her}", "'her' is no CastPhone", SENSE),
    _step("do: {reply: '1 {', from: one}", "'1 {': Single '{' encountered", SENSE),
    _step("do: {reply: '1 {0}', from: one}", "no earlier step captures '0'", SENSE),
    _step("do: {reply: '1 {code}', from: one}", "no earlier step captures 'code'", SENSE),
    _step("expect: {terminal: her, says: ['{who}']}, within_s: 5",
          "no earlier step captures 'who'", SENSE),
    _step("expect: {alert: {state: open}}, within_s: 5", "no earlier step captures 'code'", SENSE),
    _step("expect: {no_sms: [one]}", "'no_sms' needs 'for_s'"),
    _step("expect: {no_sms: [one], for_s: 5}, within_s: 5", "'expect' needs one of"),
    _step("expect: {window: one, shows: [sos]}, within_s: 5", "'one' is no CastTerminal", SENSE),
    _step("expect: {window: her}, within_s: 5", "'shows' needs at least one"),
    _step("expect: {terminal: her, led: purple}, within_s: 5", "'led' is one of idle, sending"),
    _step("expect: {terminal: her, battery: [60]}, within_s: 5", "'battery' is a number, or [from"),
    _step("expect: {terminal: her, rssi: [-90, low]}, within_s: 5", "'rssi' is a number, or [from"),
    _step("expect: {terminal: her, battery: [60, 50]}, within_s: 5", "in this order", SENSE),
    _step("expect: {terminal: her, buzzing: loudly}, within_s: 5", "'buzzing' must be on or off"),
]  # fmt: skip
"""Their refusal names the line of the step and holds these words."""
