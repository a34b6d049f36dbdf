#!/usr/bin/env python3
"""The main job once, from upload to comparison: file -> Kafka -> two transforms -> file.

    demo.py PATH_OF_HAWSER

Starts `hawser serve --dev` on a free port with an empty data folder, uploads the plugins of target/plugins over REST, deploys a
source that reads a file of 100,000 JSON lines and a sink with a chain of two transforms that writes a file, waits until all has
arrived and compares it line by line with what went in. Exits with 0 only if nothing is missing, doubled, changed or out of order.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

LINES = 100_000
SEED = 20_261_120
START_SECONDS = 60       # the worker answers in well under one
UPLOAD_SECONDS = 120     # compiling a component
STALL_SECONDS = 60       # no new record for so long: something is wrong
STOP_SECONDS = 20
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).parent.parent / "target"))
SITE = "harbour-7"
MASK = "****"

STRINGS = "org.apache.kafka.connect.storage.StringConverter"
JSON = "org.apache.kafka.connect.json.JsonConverter"


class Failure(Exception):
    """What went wrong, and what to do."""


def say(text):
    print(text, flush=True)


def order(number, rng):
    """One order, of the size and shape of a real one."""
    return {
        "id": f"order-{number:08d}",
        "customer": {"name": rng.choice(["Ada Lovelace", "Jörg Müller", "李小龙", "Zoë \"Z\" O'Neil"]), "since": rng.randint(1990, 2026)},
        "card": f"{rng.randint(4 * 10**15, 5 * 10**15 - 1)}",
        "items": [{"sku": f"{rng.randrange(16**8):08x}", "count": rng.randint(1, 9)} for _ in range(rng.randint(1, 4))],
        "total": round(rng.uniform(1, 5000), 2),
        "paid": rng.random() < 0.9,
        "note": rng.choice([None, "", "back\\slash", "tab\tand\nline", "a longer remark " * rng.randint(1, 6)]),
    }


def transformed(order):
    """What the chain of transforms makes of an order: InsertField and then MaskField."""
    return {**order, "site": SITE, "card": MASK}


def write_orders(path):
    rng = random.Random(SEED)
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for number in range(LINES):
            out.write(json.dumps(order(number, rng), ensure_ascii=False) + "\n")


class Worker:
    """`hawser serve --dev`, its log and its REST API."""

    def __init__(self, program, folder):
        self.log = folder / "worker.log"
        self.process = subprocess.Popen(
            [program, "serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", folder / "data"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True)
        self.url = None
        listening = threading.Event()
        threading.Thread(target=self._read, args=(listening,), daemon=True).start()
        if not listening.wait(START_SECONDS) or self.url is None:
            raise Failure(f"the worker did not start: {self.last_words()}")

    def _read(self, listening):
        for line in self.process.stdout:
            if line.startswith("Hawser listens on "):
                self.url = line.split()[-1]
                listening.set()
        listening.set()

    def last_words(self):
        return "\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def ask(self, method, path, body=None, content_type="application/json", timeout=30):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": content_type} if data else {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Failure(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
        except OSError as error:
            raise Failure(f"{method} {path}: {error}; the worker's log ends with: {self.last_words()}") from error
        return json.loads(text) if text else None

    def upload(self, name):
        component = TARGET / "plugins" / f"{name}.wasm"
        if not component.is_file():
            raise Failure(f"{component} is not there: run 'make plugins'")
        began = time.monotonic()
        plugin = self.ask("POST", "/plugins", component.read_bytes(), "application/wasm", UPLOAD_SECONDS)
        say(f"  uploaded {name} {plugin.get('version', '')} ({component.stat().st_size / 1024:,.0f} kB) in {time.monotonic() - began:.2f} s")

    def check(self, connectors):
        """Raises if one of the connectors or its tasks has failed."""
        for name in connectors:
            status = self.ask("GET", f"/connectors/{name}/status")
            for part in [status["connector"], *status["tasks"]]:
                if part["state"] == "FAILED":
                    raise Failure(f"{name} failed: {part.get('trace', '')}")

    def tasks(self, name):
        return len(self.ask("GET", f"/connectors/{name}/status")["tasks"])

    def memory(self):
        """Resident bytes now."""
        kilobytes = subprocess.run(["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, text=True, check=True).stdout
        return int(kilobytes) * 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"the worker did not stop within {STOP_SECONDS} s of SIGTERM: {self.last_words()}") from None


def wait_until_arrived(path, worker, connectors):
    """Follows the sink's file until it has as many lines as went in."""
    lines, position, moved, shown = 0, 0, time.monotonic(), 0.0
    while lines < LINES:
        if path.exists():
            with path.open("rb") as arrived:
                arrived.seek(position)
                while chunk := arrived.read(1 << 20):
                    lines += chunk.count(b"\n")
                    position += len(chunk)
                    moved = time.monotonic()
        now = time.monotonic()
        if now - shown >= 1:
            say(f"  {lines:>9,} of {LINES:,} records arrived")
            worker.check(connectors)
            shown = now
        if now - moved > STALL_SECONDS:
            raise Failure(f"nothing arrived for {STALL_SECONDS} s, {lines:,} of {LINES:,} are there: {worker.last_words()}")
        time.sleep(0.01)


def compare(sent, arrived):
    """Every line that arrived is the transformed line that went in, in its place."""
    with sent.open(encoding="utf-8") as left, arrived.open(encoding="utf-8") as right:
        count = 0
        for count, (line, other) in enumerate(zip(left, right), 1):
            expected, found = transformed(json.loads(line)), json.loads(other)
            if found != expected:
                raise Failure(f"line {count} differs:\n  expected {json.dumps(expected)}\n  arrived  {json.dumps(found)}")
        rest = sum(1 for _ in right)
    if count != LINES or rest:
        raise Failure(f"{count + rest:,} lines arrived, {LINES:,} went in")


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        say("  " + "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))))


def run(program, folder):
    sent, arrived = folder / "in" / "orders.ndjson", folder / "out" / "orders.ndjson"
    sent.parent.mkdir()
    arrived.parent.mkdir()
    write_orders(sent)
    say(f"made {sent}: {LINES:,} lines, {sent.stat().st_size / 1e6:.1f} MB")

    worker = Worker(program, folder)
    try:
        say(f"hawser serve --dev runs at {worker.url} (process {worker.process.pid})")
        worker.upload("file")
        worker.upload("transforms")
        began = time.monotonic()
        worker.ask("PUT", "/connectors/orders-in/config", {
            "connector.class": "FileStreamSource", "tasks.max": "1", "file": str(sent), "topic": "orders",
            "sandbox.files": f"{sent.parent}:ro", "value.converter": STRINGS})
        worker.ask("PUT", "/connectors/orders-out/config", {
            "connector.class": "FileStreamSink", "tasks.max": "1", "file": str(arrived), "topics": "orders",
            "sandbox.files": str(arrived.parent), "value.converter": JSON, "value.converter.schemas.enable": "false",
            "transforms": "site,mask",
            "transforms.site.type": "org.apache.kafka.connect.transforms.InsertField$Value",
            "transforms.site.static.field": "site", "transforms.site.static.value": SITE,
            "transforms.mask.type": "org.apache.kafka.connect.transforms.MaskField$Value",
            "transforms.mask.fields": "card", "transforms.mask.replacement": MASK})
        say("deployed orders-in (source) and orders-out (sink, two transforms)")
        wait_until_arrived(arrived, worker, ["orders-in", "orders-out"])
        seconds = time.monotonic() - began
        compare(sent, arrived)
        say(f"all {LINES:,} records arrived in {seconds:.2f} s, each as it should be, none missing, doubled or out of order\n")
        rows = [("connector", "tasks", "records", "bytes", "records/s")]
        for name, path in (("orders-in", sent), ("orders-out", arrived)):
            rows.append((name, str(worker.tasks(name)), f"{LINES:,}", f"{path.stat().st_size:,}", f"{LINES / seconds:,.0f}"))
        table(rows)
        say(f"\n  memory of the worker: {worker.memory() / 2**20:.0f} MiB (broker included); both rates are from deployment to the last line")
    finally:
        worker.stop()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hawser-demo-"))
    try:
        run(sys.argv[1], folder)
    except Failure as failure:
        say(f"\nFAILED: {failure}\nFiles are left in {folder}.")
        sys.exit(1)
    shutil.rmtree(folder)


main()
