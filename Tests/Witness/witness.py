#!/usr/bin/env python3
"""The independent witness: reads what the agent wrote, from contrib/protocol alone.

    witness.py count STATE_DIR [--json] [--decode]   records, batches, producers, exactly once
    witness.py dump STATE_DIR [--since-offset S:P]   one JSON line a record
    witness.py damage STATE_DIR [--json]             what survives, what is damaged, where
    witness.py batch FILE                            one batch as canonical JSON, or its error

`count` exits 1 if a batch stands twice or envelope and batch disagree; `damage` if there is any;
`batch` if the batch is refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from batch_reader import read_batch
from canonical import batch_json, stored_records
from counting import count_state, damage_report
from segment_reader import Log
from wire_bytes import WireError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in ("count", "dump", "damage"):
        verb = verbs.add_parser(name)
        verb.add_argument("state", help="the state directory, or its log directory")
        if name != "dump":
            verb.add_argument("--json", action="store_true")
        if name == "count":
            verb.add_argument("--decode", action="store_true", help="decode every record")
        if name == "dump":
            verb.add_argument("--since-offset", default="0:0", metavar="SEGMENT:POSITION")
    verbs.add_parser("batch").add_argument("file")
    options = parser.parse_args(arguments)
    return {"count": count, "dump": dump, "damage": damage, "batch": batch}[options.verb](options)


def count(options: argparse.Namespace) -> int:
    result = count_state(options.state, options.decode)
    if options.json:
        print(json.dumps(result))
    else:
        print_count(result)
    return 0 if result["exactly_once"] and not result["disagreements"] else 1


def print_count(result: dict[str, Any]) -> None:
    print(f"{result['records']} records ({result['spans']} spans, {result['logs']} logs, "
          f"{result['points']} points) in {result['batches']} batches, "
          f"{result['payload_bytes']} bytes")
    segments, damaged = result["segments"], result["damaged"]
    print(f"{segments['count']} segments, {segments['sealed']} sealed, {segments['bytes']} bytes; "
          f"committed {result['committed']}, synced {result['synced']}")
    print(f"damaged: {damaged['ranges']} ranges, {damaged['batches']} batches of "
          f"{damaged['records']} records")
    print(f"exactly once: {'yes' if result['exactly_once'] else 'NO'} "
          f"({result['duplicates']} duplicates, {result['out_of_order']} out of order, "
          f"{result['disagreements']} disagreements)")
    print(f"stored ever: {result['stored_ever']['records']} records; deleted by retention: "
          f"{result['deleted']['records']}; missing: {result['missing']['records']}")
    print(f"dropped by producers: {result['dropped_spans']} spans, {result['dropped_logs']} logs, "
          f"{result['dropped_points']} points")
    for kind, number in sorted(result.get("kinds", {}).items()):
        print(f"  {kind}: {number}")
    for producer in result["producers"]:
        print(f"  uid {producer['uid']} {producer['producer']}: {producer['records']} records in "
              f"{producer['batches']} batches, sequences {producer['first']}–{producer['last']}, "
              f"{producer['missing']} missing")
    if result["spool"]["files"]:
        print(f"spool: {result['spool']['records']} records in {result['spool']['files']} files")
    for example in result["examples"]:
        print(f"  {example}")


def dump(options: argparse.Namespace) -> int:
    segment, _, position = options.since_offset.partition(":")
    since = int(segment) << 32 | int(position or 0)
    for part in Log.open(options.state).segments():
        if part.number < since >> 32:
            continue
        for entry in part.entries():
            if entry.offset < since:
                continue
            for line in stored_records(entry, part.log_id):
                print(json.dumps(line, ensure_ascii=False))
    return 0


def damage(options: argparse.Namespace) -> int:
    result = damage_report(options.state)
    bad = [name for name, state in result["files"].items() if state == "damaged"]
    ranges = [(part["file"], item) for part in result["segments"] for item in part["damage"]]
    if options.json:
        print(json.dumps(result))
    else:
        surviving = result["surviving"]
        print(f"survives: {surviving.get('records', 0)} records in "
              f"{surviving.get('batches', 0)} batches")
        for name, item in ranges:
            print(f"damaged: {name} {item['start']}–{item['end']} ({item['bytes']} bytes): "
                  f"{item['what']}")
        for name in bad:
            print(f"damaged: {name}")
        for name in result["quarantine"]:
            print(f"quarantined: {name}")
    return 1 if ranges or bad else 0


def batch(options: argparse.Namespace) -> int:
    with open(options.file, "rb") as file:
        data = file.read()
    try:
        print(json.dumps(batch_json(read_batch(data)), indent=2, ensure_ascii=False))
    except WireError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
