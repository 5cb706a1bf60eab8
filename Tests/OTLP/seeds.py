"""Requests of the corpus as first inputs of the fuzz targets.

    seeds.py otlp|otlp-json FOLDER [COUNT]

Each begins with the byte that names its signal (Tests/Fuzz/OTLPFuzz.swift).
"""

from __future__ import annotations

import os
import sys
from typing import Iterator

from google.protobuf.message import Message

import otlp_json
from corpus import requests
from messages import REQUESTS, SIGNALS

BYTES_MAX = 4096


def deep() -> Iterator[tuple[str, Message]]:
    """Values of as many arrays inside one another as a batch may hold, and of one more."""
    for depth in (32, 33):
        request = REQUESTS["logs"]()
        record = request.resource_logs.add().scope_logs.add().log_records.add()
        value = record.attributes.add(key="deep").value
        for _ in range(depth):
            value = value.array_value.values.add()
        value.int_value = depth
        yield "logs", request


def main(target: str, folder: str, count: str = "400") -> None:
    # One seed for ever: what the fuzzer begins with is the same in each run.
    writer = otlp_json.Writer(4, liberties=True)
    written = 0
    for number, (signal, request) in enumerate([*deep(), *requests(4, int(count), unknown=True)]):
        body = (request.SerializeToString() if target == "otlp"
                else writer.text(request).encode())
        if 0 < len(body) <= BYTES_MAX:
            written += 1
            with open(os.path.join(folder, f"corpus-{number}"), "wb") as file:
                file.write(bytes([SIGNALS.index(signal)]) + body)
    if written == 0:
        raise SystemExit("no request is small enough")


if __name__ == "__main__":
    main(*sys.argv[1:])
