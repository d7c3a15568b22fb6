"""The words of `xunlou account …`, `audit …`, `rehearse …`, `keys …` and `person …`.

Apart from what they do: every process of the house reads the command line, and a gateway must not
load the server for that.
"""

import argparse
from pathlib import Path
from typing import Any

from server.core.access import AccountRole, Level, Right
from server.core.words import OUTCOMES_OF_PEOPLE


def account(commands: Any) -> None:
    """The words of the command."""
    words = commands.add_parser("account", help="who may log in, and programs' tokens")
    words.add_argument("--data", help="the directory given to `xunlou up`")
    acts = words.add_subparsers(dest="action", required=True, metavar="action")
    acts.add_parser("list", help="all accounts and tokens")
    for name, words in (("add", "a new account, with a one-time password"),
                        ("regrade", "another role or scope")):  # fmt: skip
        act = acts.add_parser(name, help=words)
        act.add_argument("username")
        act.add_argument("--role", choices=[r.value for r in AccountRole], default="operator")
        _scope(act)
    acts.choices["add"].add_argument("--name", default="", help="the person's name")
    for name, words in (("reset", "a new one-time password; second factor and sessions end"),
                        ("close", "nobody logs in with it any more"),
                        ("open", "a closed account again")):  # fmt: skip
        acts.add_parser(name, help=words).add_argument("username")
    token = acts.add_parser("token", help="a new token for a program, shown once")
    token.add_argument("name", help="what it is for")
    rights = [r.value for r in Right if r is not Right.ACCOUNTS]
    token.add_argument("--right", action="append", choices=rights, required=True)
    _scope(token)
    acts.add_parser("revoke", help="end a token").add_argument("id", type=int)


def broker(commands: Any) -> None:
    """The words of the command."""
    parser = commands.add_parser("broker", help="the broker's accounts (network edition)")
    acts = parser.add_subparsers(dest="action", required=True, metavar="action")
    act = acts.add_parser("accounts", help="print terminals' passwords, or keep the broker's file")
    act.add_argument("--into", type=Path, metavar="DIR", help="write the file `passwords` there")
    act.add_argument("--follow", action="store_true", help="go on, whenever the register changes")
    act.add_argument("--by-hand", type=Path, metavar="FILE",
                     help="hashes made by hand, each good until its terminal gets a new password")
    act.add_argument("--bridges", action="store_true", help="print that of other makers' bridges")


def _scope(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scope", choices=[lv.value for lv in Level], default="all")
    parser.add_argument("--place", default="",
                        help="the name; of a building its number, and where there are several "
                             "communities the community's name before it: '棠德 2'")


def audit(commands: Any) -> None:
    """The words of the command."""
    parser = commands.add_parser("audit", help="who saw and did what: verify, checkpoint, show")
    parser.add_argument("--data", help="the directory given to `xunlou up`")
    acts = parser.add_subparsers(dest="action", required=True, metavar="action")
    verify = acts.add_parser("verify", help="is every entry as it was written?")
    verify.add_argument("--checkpoint", help="one that was printed earlier and kept elsewhere")
    acts.add_parser("checkpoint", help="print where the chain stands; keep it elsewhere")
    show = acts.add_parser("show", help="the newest entries")
    show.add_argument("--limit", type=int, default=50)


def rehearse(commands: Any) -> None:
    """The words of the command."""
    begin = commands.add_parser("rehearse", help="simulated terminals beside the real ones")
    begin.add_argument("--data", type=Path,
                       help="as given to `up` (default: what XUNLOU_DATABASE_URL names, else data)")
    begin.add_argument("--building",
                       help="its number, from 900 (default: the next free one); with the "
                            "community's name before it where there are several: '棠德 900'")
    begin.add_argument("--community", default="", metavar="NAME",
                       help="whose, where no building is given (default: the first)")
    begin.add_argument("--flats", type=int, default=5, help="how many simulated terminals")
    begin.add_argument("--person", action="append", default=[], metavar="NAME=+86…",
                       help="who is told, instead of any steward; may be repeated")
    begin.add_argument("--end", action="store_true",
                       help="end the rehearsal of --building; needs --outcome and --who")
    begin.add_argument("--outcome", choices=sorted(OUTCOMES_OF_PEOPLE),
                       help="how its open alerts ended, as a person says it")
    begin.add_argument("--who", default="", help="your name, for the journal")


def keys(commands: Any) -> None:
    """The words of the command."""
    parser = commands.add_parser("keys", help="keys that access and health notes are sealed under")
    parser.add_argument("--data", type=Path, help="the directory given to `xunlou up`")
    acts = parser.add_subparsers(dest="action", required=True, metavar="action")
    acts.add_parser("new", help="print a new key, for XUNLOU_NOTES_KEYS")
    acts.add_parser("show", help="which keys are here, what is sealed under which, what is lost")
    acts.add_parser("rotate", help="a new key, and every note sealed anew; while everything runs")
    forget = acts.add_parser("forget", help="take an old key out of the file; backups may need it")
    forget.add_argument("id", help="as `show` prints it")


def person(commands: Any) -> None:
    """The words of the command."""
    parser = commands.add_parser("person", help="one person's data: all of it, or its end")
    parser.add_argument("--data", type=Path, help="the directory given to `xunlou up`")
    acts = parser.add_subparsers(dest="action", required=True, metavar="action")
    giving = acts.add_parser("export", help="everything that is held of them, as JSON")
    ending = acts.add_parser("erase", help="all but what figures count; for good")
    for act in (giving, ending):
        whom = act.add_mutually_exclusive_group(required=True)
        whom.add_argument("--resident", type=int, help="a resident, by id")
        whom.add_argument("--contact", type=int, help="a steward, key holder …, by person id")
        act.add_argument("--reason", required=True, help="stands in journal and audit")
        act.add_argument("--who", default="", help="your name, for the journal")
    giving.add_argument("file", type=Path, help="a new file")
