#!/usr/bin/env python3
"""Sends the same requests to a real Kafka Connect and to a Hawser worker and compares status, headers and body.

    tests/compare/rest.py [--all] [FILTER]

`--all` prints meant differences too; FILTER: only differences of requests with this text. `make compare` builds what this needs:
a worker (target/debug/hawser or HAWSER_BIN) and target/plugins. It also needs what `scripts/kafka.sh` needs. Ends with 1 if a difference is
not meant. `KEEP_LOGS=1` keeps the servers' logs.
"""

import json
import re
import sys
import time

from cases import Case, Offsets, Topics, sequence
from meant import meant
from servers import Both

WAIT_SECONDS = 60
# What one server may say and the other cannot: who it is, when it was, and texts for people.
MASKED = {"worker_id", "version", "commit", "kafka_cluster_id", "last_modified", "trace", "documentation"}


def main():
    arguments = sys.argv[1:]
    show_meant = "--all" in arguments
    wanted = " ".join(argument for argument in arguments if argument != "--all")
    counts = {"compared": 0, "the same": 0, "differ as meant": 0, "differ": 0}
    reasons = {}
    with Both() as both:
        (both.folder / "in.txt").write_text("one\ntwo\n")
        for step in sequence(both.folder):
            if not isinstance(step, Case):
                for server in both.servers:
                    wait(server, step)
                continue
            answers = [answer(server, step) for server in both.servers]
            counts["compared"] += 1
            differences = []
            differ("", *answers, differences)
            why = [meant(step, *difference, answers) for difference in differences]
            counts["differ" if None in why else "differ as meant" if why else "the same"] += 1
            for reason in {reason for reason in why if reason}:
                reasons[reason] = reasons.get(reason, 0) + 1
            shown = [(difference, reason) for difference, reason in zip(differences, why) if show_meant or not reason]
            if shown and wanted in step.name:
                print(step.name)
                for (place, theirs, ours), reason in shown:
                    print(f"  {place}: {short(theirs)} / {short(ours)}" + (f"  ({reason})" if reason else ""))
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    for reason, count in sorted(reasons.items()):
        print(f"  {count:4} {reason}")
    return 1 if counts["differ"] else 0


def answer(server, case):
    try:
        status, headers, body = server.request(case.method, case.path, case.body, case.headers)
    except (OSError, ValueError) as error:
        return {"status": f"none: {error}", "headers": {}, "body": ""}
    kept = {}
    if "location" in headers:
        kept["location"] = re.sub("^http://[^/]*", "", headers["location"])
    if "allow" in headers:
        kept["allow"] = sorted(re.split(" *, *", headers["allow"]))
    if body:
        kept["content-type"] = headers.get("content-type", "none")
    text = body.decode(errors="replace")
    try:
        parsed = masked(json.loads(text))
    except ValueError:
        parsed = text
    return {"status": status, "headers": kept, "body": parsed}


def masked(value):
    if isinstance(value, dict):
        return {key: f"({key})" if key in MASKED else masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def differ(place, left, right, found):
    """Collects the places at which they differ, each with what stands there on either side."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            differ(f"{place}.{key}", left.get(key, "(absent)"), right.get(key, "(absent)"), found)
    elif isinstance(left, list) and isinstance(right, list) and all(named(item) for item in left + right):
        differ(place, {named(item): item for item in left}, {named(item): item for item in right}, found)
        order = [named(item) for item in left if named(item) in {named(other) for other in right}]
        other = [named(item) for item in right if named(item) in order]
        if order != other:
            found.append((f"{place} (order)", order, other))
    elif left != right:
        found.append((place, left, right))


def named(item):
    """What a member of a list of definitions, plugins or values is called."""
    if not isinstance(item, dict):
        return None
    if "class" in item:
        return item["class"]
    if "definition" in item:
        return (item.get("value") or item.get("definition") or {}).get("name")
    if "id" in item:
        return f"task {item['id']['task'] if isinstance(item['id'], dict) else item['id']}"
    return item.get("name")


def short(value):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "…"


def wait(server, step):
    end = time.monotonic() + WAIT_SECONDS
    while True:
        found = state(server, step)
        if found is True:
            return
        if time.monotonic() > end:
            raise SystemExit(f"{server.name}: {step.connector} is not {vars(step)} but {found}")
        time.sleep(0.1)


def state(server, step):
    path = "offsets" if isinstance(step, Offsets) else "topics" if isinstance(step, Topics) else "status"
    status, _, body = server.request("GET", f"/connectors/{step.connector}/{path}")
    if isinstance(step, Topics):
        return True if status == 200 and step.topic in json.loads(body)[step.connector]["topics"] else body.decode()
    if isinstance(step, Offsets):
        return True if status == 200 and len(json.loads(body)["offsets"]) >= step.count else body.decode()
    if status != 200:
        return True if step.states == "none" and status == 404 else body.decode()
    parsed = json.loads(body)
    states = " ".join([parsed["connector"]["state"], *(task["state"] for task in parsed["tasks"])])
    return True if states == step.states else body.decode()


if __name__ == "__main__":
    sys.exit(main())
