"""Processes that end with the one that started them, also where that was killed and could not tell."""

from __future__ import annotations

import os
import threading
import time

LOOK_SECONDS = 1.0
"""Between two looks at who the parent is."""


def end_with(parent: int) -> None:
    """End this process within seconds of the end of its parent, whatever it is doing then.

    Args:
        parent: process id of the parent as it was when this was asked for.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end with the parent", daemon=True).start()
