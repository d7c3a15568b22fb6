"""How a paho client with a thread of its own is ended."""

import threading
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from xunlou.paho_thread import end


class Vanishing(mqtt.Client):
    """A client whose thread ends while paho looks at it: there the first times, gone afterwards."""

    looks = 0

    @property
    def _thread(self) -> threading.Thread | None:
        self.looks += 1
        return threading.Thread() if self.looks < 3 else None

    @_thread.setter
    def _thread(self, thread: Any) -> None:
        pass


def test_a_thread_that_ends_by_itself_is_no_error() -> None:
    """Paho takes it for one, which now and then broke what had gone well."""
    with pytest.raises(AttributeError, match="join"):
        Vanishing(CallbackAPIVersion.VERSION2).loop_stop()
    client = Vanishing(CallbackAPIVersion.VERSION2)
    end(client)
    assert client.looks == 3
