"""How fast a training goes, and how long ago its state was saved."""

import time


class Pace:
    """Counts from the last row of the history, and from the last whole state."""

    def __init__(self, step):
        self.step, self.clock, self.state_clock = step, time.perf_counter(), time.monotonic()
        self.flops = 0

    def row(self, step, batch_size, waited):
        """Throughput since the last row: images per second, share of the time waiting for images, TFLOP per second."""
        now = time.perf_counter()
        steps, seconds = step - self.step, now - self.clock
        flops, self.step, self.clock, self.flops = self.flops, step, now, 0
        return {
            "images_per_second": round(steps * batch_size / seconds, 2),
            "waiting_share": round(waited / seconds, 4),
            "tflop_per_second": round(flops / seconds / 1e12, 4),
        }

    def go_on(self):
        """What was done since the last row (a look at the conversions, grids) is no training."""
        self.clock = time.perf_counter()

    def is_state_due(self, minutes):
        return time.monotonic() - self.state_clock > 60 * minutes

    def state_saved(self):
        self.state_clock = time.monotonic()
