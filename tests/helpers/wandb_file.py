"""What wandb has written offline, read back: its files are records of protobuf in LevelDB's log format."""

import json
import struct

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEADER = 32768, 7


def records(path):
    """The records of a `.wandb` file, in their order; ends where a kill has torn it."""
    content = path.read_bytes()
    assert content[:4] == b":W&B"
    at, parts = 7, b""
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, place = struct.unpack("<IHB", content[at : at + HEADER])
        parts += content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if place in (1, 4):  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


def values(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


class OfflineRun:
    """All that the offline folders below a folder hold of a run, in the order in which `wandb sync` takes them."""

    def __init__(self, folder, run_id):
        self.files = sorted(folder.glob(f"wandb/offline-run-*-{run_id}*/run-{run_id}.wandb"))
        self.history, self.summary, self.runs, self.artifacts = [], {}, [], []
        for path in self.files:
            for record in records(path):
                kind = record.WhichOneof("record_type")
                if kind == "history":
                    row = values(record.history.item)
                    self.history.append((record.history.step.num, row))
                elif kind == "summary":
                    self.summary |= values(record.summary.update)
                elif kind == "run":
                    self.runs.append(record.run)
                elif kind == "request" and record.request.HasField("log_artifact"):
                    self.artifacts.append(record.request.log_artifact.artifact)
                elif kind == "artifact":
                    self.artifacts.append(record.artifact)

    @property
    def steps(self):
        return [step for step, _ in self.history]
