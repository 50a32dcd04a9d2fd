"""`python tests/oracles/events.py write FILE` makes tests/fixtures/scalar.tfevents by TensorBoard's own writer; `... read FOLDER` prints
what TensorBoard finds in a folder, for tests/formats/tensorboard.rs (tensorboard 2.21.0)."""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def write(path):
    value = Summary.Value(tag="validation/-ELBO", simple_value=-106.5)
    event = Event(wall_time=1_750_000_000.25, step=300, summary=Summary(value=[value]))
    with open(path, "wb") as file:
        RecordWriter(file).write(event.SerializeToString())


def read(folder):
    events = EventAccumulator(folder, size_guidance={"scalars": 0, "histograms": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    last = {tag: events.Histograms(tag)[-1].histogram_value for tag in tags["histograms"]}
    print(json.dumps({
        "scalars": {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {
            tag: dict(num=h.num, min=h.min, max=h.max, sum=h.sum, sum_squares=h.sum_squares, limits=h.bucket_limit, counts=h.bucket)
            for tag, h in last.items()
        },
        "images": {
            tag: [(e.step, e.width, e.height, len(e.encoded_image_string)) for e in events.Images(tag)] for tag in tags["images"]
        },
    }).replace("Infinity", "null"))


{"write": write, "read": read}[sys.argv[1]](sys.argv[2])
