"""Which passwords reach whoever sets up devices."""

from server.core.device_key import NO_TERMINALS
from xunlou.broker_files import DEVICES_USER, GATEWAY_USER
from xunlou.up import account_files


def test_the_file_for_terminals_holds_no_account_that_opens_all_topics() -> None:
    """Theirs alone; the bridges' has a file of its own, and the gateway's none."""
    users = {"gd-11-301": "a", "devices": "b", "gateway": "c"}
    assert account_files(users) == {"terminals.csv": "gd-11-301,a\n", "devices.csv": "devices,b\n"}
    assert account_files({"gateway": "c"}) == {"terminals.csv": ""}


def test_no_terminal_can_have_the_name_of_such_an_account() -> None:
    """The broker's accounts that are no terminal's, all of them."""
    assert {GATEWAY_USER, DEVICES_USER} == NO_TERMINALS
