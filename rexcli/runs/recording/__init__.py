"""Records every step and every message of an execution in MCAP, the robotics log format.

What is in the file
- A metadata record `rex`: `format`, `spec` (the system's timing, JSON) and `info` (whatever the recorder noted, JSON).
- A channel per node, topic `/<node>`: one message a step, `episode`, `seq`, `ts_start`, `ts_end` and the recorded
  fields of `params`, `inputs`, `state`, `output`, nested by key path. Times are int64 nanoseconds since the start of
  the episode.
- A channel per image in a node's steps, topic `/<node>/<field>/<key path>`: ROS 2's own `sensor_msgs/msg/Image`, which
  Foxglove and whatever reads ROS images show. An image is a uint8 array `[height, width]`, or `[height, width,
  channels]` with 1, 3 or 4 channels, of at least 8 pixels both ways. One message a step, in the order of the steps and
  with the tick as its `sequence`, stamped with the step's start. It is not in the node's channel, and lies in chunks
  apart.
- A channel per edge, topic `/<source>/<target>`, with the edge's name behind it where several join the same nodes: one
  message a message, `episode`, `seq`, `ts_sent`, `ts_recv`, `reader`: `reader` is the target's tick that reads it, -1
  for none; `ts_recv` is -1 for one that never arrived.
- A metadata record `rex.end` if the recorder closed the file: `complete` tells whether the execution came to its end.

Messages are CDR with a ROS 2 message definition, so that every tool that reads ROS 2 bags in MCAP reads them. Numbers
are exact, of their own types (types of two bytes and less that ROS 2 does not have are float32). Arrays are flat, last
axis fastest, complex numbers as pairs; the channel's metadata `layout` holds their types and shapes. On MCAP's own time
axis a step lies where it ends and a message where it arrives, episodes one after another. Recordings of earlier
versions, whose messages are JSON or whose images lie in the node's channel, are read as well.

What survives A process of its own writes the file (see `process`), each record about half a second after it happened.
It outlives the recorder: signals do not stop it, and if the recorder is killed it finishes the file, up to the last
moment. Between two appends the file is a finished MCAP file: every append writes over the old end mark and leaves a new
one, with one system call. So two processes that are killed together leave a file that the public `mcap` readers open,
without an index but with all whole chunks. Should the tail be broken all the same (the machine lost its power, the kill
hit the append itself), the public stream reader gives the messages of the whole chunks and then raises;
`read_recording` gives them and notes `damaged`; `repair` writes them to a file with an index. Images come before the
steps that they belong to, so what is left of a file never lacks the image of a step. In a finished file the chunks of
images are not unpacked before they are needed, and damage in them is found only then.
"""

from rexcli.runs.recording.reader import Recording, read_recording
from rexcli.runs.recording.repair import repair
from rexcli.runs.recording.writer import RecordingWriter

__all__ = ["Recording", "RecordingWriter", "read_recording", "repair"]
