"""Encodes images of a node's steps as ROS 2 image messages in a channel of their own, which viewers show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rexcli.runs.recording.layout import Field, Leaf, Structure

SCHEMA_NAME = "sensor_msgs/msg/Image"
SCHEMA = f"""\
std_msgs/Header header
uint32 height
uint32 width
string encoding
uint8 is_bigendian
uint32 step
uint8[] data
{"=" * 80}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{"=" * 80}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
SMALLEST = 8
"""Least height and width in pixels; a smaller array counts as a table."""
ENCODINGS = {1: "mono8", 3: "rgb8", 4: "rgba8"}
"""ROS 2's names of pixel formats, by the number of channels."""

_LENGTH, _BYTE = np.dtype("<u4"), np.dtype("<u1")
_SECOND = 1_000_000_000


def encoding(leaf: Leaf) -> str | None:
    """Returns ROS 2's name of an image's pixel format; None for an array that is not an image.

    An image is a uint8 array `[height, width]`, or `[height, width, channels]` with 1, 3 or 4 channels, of at least
    `SMALLEST` pixels both ways.
    """
    if leaf.dtype != "uint8" or len(leaf.shape) not in (2, 3) or min(leaf.shape[:2]) < SMALLEST:
        return None
    return ENCODINGS.get(1 if len(leaf.shape) == 2 else leaf.shape[2])


def images_of(leaves: Sequence[Leaf]) -> tuple[int, ...]:
    """Returns the numbers of the leaves that are images."""
    return tuple(number for number, leaf in enumerate(leaves) if encoding(leaf) is not None)


class Images(Structure):
    """The records of an image channel, in all of which strings and pixels have one length.

    `header.stamp` is when the step started, and the log's `sequence` is its tick.

    Args:
        node: the node's name, which is also `header.frame_id`.
        leaf: the image.

    Raises:
        ValueError: the leaf is no image.
    """

    def __init__(self, node: str, leaf: Leaf):
        pixels = encoding(leaf)
        if pixels is None:
            raise ValueError(f"an image of type {leaf.dtype} and shape {leaf.shape}")
        frame, name = (np.frombuffer(text.encode() + b"\0", _BYTE) for text in (node, pixels))
        height, width = leaf.shape[:2]
        fields = [Field("sec", np.dtype("<i4")), Field("nanosec", np.dtype("<u4"))]
        fields += [Field("frame_length", _LENGTH), Field("frame", _BYTE, len(frame))]
        fields += [Field("height", _LENGTH), Field("width", _LENGTH)]
        fields += [Field("name_length", _LENGTH), Field("name", _BYTE, len(name)), Field("is_bigendian", _BYTE)]
        fields += [Field("step", _LENGTH), Field("data_length", _LENGTH), Field("data", _BYTE, leaf.count)]
        super().__init__(fields)
        self.leaf = leaf
        self._same = {"frame_length": len(frame), "frame": frame, "name_length": len(name), "name": name}
        self._same |= {"height": height, "width": width, "step": leaf.count // height, "data_length": leaf.count}

    def encode(self, steps: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Encodes the images of steps with the times of the log of their steps; `channel` is still to be set.

        Args:
            steps: records of the steps, `[steps]`, with their times on the log.
            values: the images, `[steps, ...]`.
        """
        records = self.blank(steps["sequence"])
        offset = steps["logged"].astype(np.int64) - np.maximum(steps["ts_end"], 0)
        records["sec"], records["nanosec"] = np.divmod(np.maximum(steps["ts_start"], 0) + offset, _SECOND)
        for key in ("logged", "published"):
            records[key] = steps[key]
        for key, value in self._same.items():
            records[key] = value
        records["data"] = np.ascontiguousarray(values).reshape(len(records), -1)
        return records

    def decode(self, records: np.ndarray) -> np.ndarray:
        """Decodes the arrays of records, `[records, ...]`.

        Raises:
            ValueError: the records state another size.
        """
        if any((records[key] != self._same[key]).any() for key in ("height", "width", "step", "data_length")):
            raise ValueError("an image of another size than its channel says")
        return np.ascontiguousarray(records["data"]).reshape((len(records), *self.leaf.shape))
