"""The resource `task` of the interface `sink`."""

import csv
import io
import json
import os
from typing import Self

from componentize_py_types import Err
from wit_world.imports.records import Batch, Failure
from wit_world.imports.types import Error_InvalidConfig, Error_Retriable, TopicOffset, TopicPartition

TEXT, JSON, FIRST_SCHEMA = 1, 2, 16


class Task:
    def __init__(self, path: str, fields: list[str]):
        self.fields = fields
        try:
            self.file = open(path, "ab")
        except OSError as error:
            raise Err(Error_InvalidConfig(f"cannot open {path}: {error.strerror}; grant its directory with sandbox.files"))

    @classmethod
    def start(cls, class_: str, config: list[tuple[str, str]]) -> Self:
        keys = dict(config)
        return cls(keys["file"], [name.strip() for name in keys["fields"].split(",")])

    def open(self, partitions: list[TopicPartition]) -> None:
        pass

    def close(self, partitions: list[TopicPartition]) -> None:
        pass

    def put(self, records: Batch) -> list[Failure]:
        rows = io.StringIO()
        writer = csv.writer(rows)
        failures = []
        for index, value, schema in values(records):
            try:
                if value is None or schema not in (TEXT, JSON) and schema < FIRST_SCHEMA:
                    raise ValueError("the value is not JSON: use a JsonConverter or a StringConverter")
                row = json.loads(value)
                if not isinstance(row, dict):
                    raise ValueError("the value is not a JSON object")
            except ValueError as error:
                failures.append(Failure(index=index, reason=str(error), kind=None, step=0))
                continue
            writer.writerow([row.get(field) for field in self.fields])
        self.append(rows.getvalue().encode())
        return failures

    def flush(self, offsets: list[TopicOffset]) -> list[TopicOffset]:
        try:
            os.fsync(self.file.fileno())
        except OSError as error:
            raise Err(Error_Retriable(f"cannot write through to disk: {error.strerror}"))
        return offsets

    def stop(self) -> None:
        self.file.close()

    def append(self, rows: bytes) -> None:
        """All of a batch or nothing: a row that was cut off by a full disk is taken back, since the batch comes again."""
        end = self.file.seek(0, os.SEEK_END)
        try:
            self.file.write(rows)
            self.file.flush()
        except OSError as error:
            self.file.truncate(end)
            raise Err(Error_Retriable(f"cannot write: {error.strerror}"))


def values(batch: Batch):
    """Index, value and schema-id of each record. The bytes stand in order: key, value, then the headers' values."""
    at = header = 0
    for index in range(batch.count):
        at += max(batch.key_lengths[index], 0) if batch.key_lengths else 0
        length = batch.value_lengths[index] if batch.value_lengths else -1
        value = batch.data[at : at + length] if length >= 0 else None
        yield index, value, batch.value_schemas[index] if batch.value_schemas else 0
        at += max(length, 0)
        headers = batch.header_counts[index] if batch.header_counts else 0
        at += sum(max(size, 0) for size in batch.header_lengths[header : header + headers])
        header += headers
