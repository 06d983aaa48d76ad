"""A function called in a process of its own, which does not outlive a time-out."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool

from joblib.externals.loky import ProcessPoolExecutor

from graphnas.children import end_with


class TimedCall:
    """Calls a function in another process, which is started when first needed, and anew when it was ended or has died.

    A new process rather than a fork: OpenMP's threads, which torch has started here, would hang in a fork. One of its
    own rather than joblib's, which belongs to whatever else this process does in parallel.

    Args:
        function: of one text; functions of a script or a notebook are carried over by value.
    """

    def __init__(self, function: Callable[[str], float]) -> None:
        self.function = function
        self.executor: ProcessPoolExecutor | None = None

    def start(self) -> bool:
        """Start the process and load the function's modules there; False where it was there already."""
        if self.executor is not None:
            return False
        self.executor = ProcessPoolExecutor(max_workers=1)
        try:
            self.executor.submit(end_with, os.getpid()).result()
            self.executor.submit(callable, self.function).result()
        except BaseException:
            self.end()
            raise
        return True

    def __call__(self, text: str, timeout: float) -> float:
        """The function's result.

        Raises:
            TimeoutError: none within so many seconds; the process is ended.
            Exception: whatever the function raises; BrokenProcessPool where its process has died.
        """
        self.start()
        assert self.executor is not None
        answer = self.executor.submit(self.function, text)
        if not wait([answer], timeout).done:
            self.end()
            raise TimeoutError(f"no answer within {timeout:g} s")
        try:
            return answer.result()
        except BrokenProcessPool:
            self.end()
            raise

    def end(self) -> None:
        """End the process, whatever it is doing."""
        if self.executor is not None:
            self.executor.shutdown(kill_workers=True)
            self.executor = None
