"""The speed of a training."""

import time


class Throughput:
    """Measures from the last row of the history."""

    def __init__(self, step: int):
        self.step, self.clock = step, time.perf_counter()

    def row(self, step: int, batch_size: int, data_wait: float) -> dict[str, float]:
        """Images per second since the last row, and the share of that time spent waiting for images.

        `data_wait`: seconds of waiting.
        """
        now = time.perf_counter()
        steps, seconds = step - self.step, now - self.clock
        self.step, self.clock = step, now
        speed, share = steps * batch_size / seconds, data_wait / seconds
        return {"images_per_second": round(speed, 2), "waiting_share": round(share, 4)}

    def restart_clock(self) -> None:
        """Leave out the time since the last row, which went into evaluation and grids."""
        self.clock = time.perf_counter()
