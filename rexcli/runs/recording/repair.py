"""Repairs a damaged recording, for tools that read only whole files."""

from __future__ import annotations

from pathlib import Path

from mcap.records import Channel, Message, Metadata, Schema
from mcap.writer import Writer

from rexcli.errors import RexError
from rexcli.runs.recording.file import read_file, read_records
from rexcli.runs.storage import atomic_file


def repair(path: Path, target: Path | None = None) -> Path:
    """Writes all that `read_recording` can read of `path` to a file with an index, which every MCAP reader opens.

    The new recording still says that its execution did not come to its end.

    Args:
        path: a recording whose writer was killed, or whose tail is broken.
        target: the new file; unless given, `path` itself, replaced at the very end.

    Raises:
        RexError: the file is not a recording.
    """
    target = path if target is None else target
    read_file(path)
    with atomic_file(target) as temporary, temporary.open("wb") as file:
        writer = Writer(file)
        writer.start(library="rexcli")
        schemas, channels = {0: 0}, {}
        try:
            for record in read_records(path, lambda problem: None):
                if isinstance(record, Metadata):
                    writer.add_metadata(record.name, record.metadata)
                elif isinstance(record, Schema) and record.id not in schemas:
                    schemas[record.id] = writer.register_schema(record.name, record.encoding, record.data)
                elif isinstance(record, Channel) and record.id not in channels:
                    channels[record.id] = writer.register_channel(
                        record.topic, record.message_encoding, schemas[record.schema_id], record.metadata
                    )
                elif isinstance(record, Message):
                    writer.add_message(
                        channels[record.channel_id],
                        record.log_time,
                        record.data,
                        record.publish_time,
                        record.sequence,
                    )
        except KeyError as error:
            raise RexError(f"{path}: damaged: no schema or channel {error}") from None
        writer.finish()
    return target
