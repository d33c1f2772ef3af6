# SPDX-License-Identifier: ISC
"""Drives tests/probe/probe: traffic between places of the lab, cut into intervals by mark()."""
import copy
import json
import os
import select
import signal
import subprocess
import time

from shell import Failure, end, expect, now, spawn


class Probe:
    """with Probe(build, pairs=[(place, place)]) as probe: ...; probe.mark() -> Interval; probe.finish() -> Interval.

    Entering waits until every flow got a frame through both ways."""

    def __init__(self, binary, pairs=(), rate=1000, flows=64, seconds=0, broadcast=None, listen=(), watch=(),
                 warm_up=15, size=64, drain=2, log=None):
        words = [binary, "--json", "--rate", rate, "--flows", flows, "--seconds", seconds, "--warm-up", warm_up,
                 "--size", size, "--drain", drain]
        for a, b in pairs:
            words += ["--a", a, "--b", b]
        if broadcast:
            words += ["--broadcast", broadcast]
        for place in listen:
            words += ["--listen", place]
        for place in watch:
            words += ["--watch", place]
        self.words, self.seconds = words, seconds
        self.process, self.buffer = None, b""

    def __enter__(self):
        self.process = spawn(*self.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            line = self.line(60)
        except Failure:
            end(self.process)
            raise Failure(f"no traffic: {self.process.stderr.read().decode().strip()}") from None
        expect(line["event"] == "running", f"the probe began with {line}")
        return self

    def __exit__(self, *_):
        end(self.process)
        self.process.stdout.close()
        self.process.stderr.close()

    def line(self, deadline):
        """The next JSON line."""
        until = now() + deadline
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - now()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise Failure(f"the probe said nothing for {deadline} s (exit status {self.process.poll()})")
            self.buffer += data
        text, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(text)

    def mark(self):
        """Close the interval that is running; returns it once its frames are settled."""
        self.process.send_signal(signal.SIGUSR1)
        return Interval(self.line(20))

    def aftermath(self, deadline=3.0, stretch=0.5):
        """All that a fault costs: intervals up to the first clean one, which must come before the deadline.

        A stretch is as long as Open vSwitch may take to let its datapath follow what its control plane decided
        (max-revalidator, 500 ms): until then it may still send on a cable that it gave up."""
        intervals = [self.mark()]
        until = now() + deadline
        while len(intervals) < 2 or not intervals[-1].clean:
            expect(now() < until, f"frames are still being lost after {deadline} s:\n{intervals[-1]}")
            time.sleep(stretch)  # the length of the next interval
            intervals.append(self.mark())
        return Aftermath(intervals)

    def finish(self):
        """Stop (or wait for the end of `seconds`) and return the total."""
        if not self.seconds:
            self.process.terminate()
        line = {"event": "none"}
        while line["event"] != "total":
            line = self.line(self.seconds + 20)
        self.process.wait(10)
        return Interval(line)


class Interval:
    """What the probe said about one stretch of time: one row per direction, see tests/probe/account.h."""

    def __init__(self, line):
        self.seconds = line["seconds"]
        self.streams = {row["name"]: row for row in line["streams"]}
        self.rows = [row for row in line["streams"] if not row["unsolicited"]]
        self.unsolicited = [row for row in line["streams"] if row["unsolicited"]]

    def sum(self, key):
        return sum(row[key] for row in self.rows)

    def worst(self, key):
        return max(row[key] for row in self.rows)

    @property
    def returned(self):
        """Copies seen where none may be: back at their sender, or on a watched interface."""
        return sum(row["received"] + row["duplicated"] + row["stale"] for row in self.unsolicited)

    def without(self, *netns):
        """The same, without the directions that begin or end in one of these namespaces."""
        rest = copy.copy(self)
        rest.rows = [row for row in self.rows
                     if not {place.split(":")[0] for place in row["name"].split(">")} & set(netns)]
        return rest

    def to(self, netns):
        """The rows of the directions that end in a namespace."""
        return [row for row in self.rows if row["name"].split(">")[1].startswith(netns + ":")]

    @property
    def clean(self):
        return self.sum("lost") == 0 and self.sum("duplicated") == 0 and self.returned == 0

    def check_probe(self):
        expect(self.sum("dropped_by_probe") == 0, f"the probe itself lost frames: {self}")
        return self

    def check_clean(self):
        """Nothing lost, nothing twice, nothing back."""
        self.check_probe()
        expect(self.clean,
               f"lost, duplicated or returned frames:\n{self}")
        return self

    def check_once(self):
        """Loss is allowed, a second copy is not."""
        self.check_probe()
        expect(self.sum("duplicated") == 0 and self.returned == 0, f"duplicated or returned frames:\n{self}")
        return self

    def figures(self):
        return (f"{self.sum('sent')} frames, {self.sum('lost')} lost, {self.sum('duplicated')} duplicated, "
                f"{self.sum('reordered')} reordered, worst gap {self.worst('gap_ms'):.1f} ms, "
                f"worst delay {self.worst('delay_ms'):.1f} ms (the probe's own {self.worst('late_ms'):.1f} ms)")

    def __str__(self):
        rows = [f"  {row['name']}: sent {row['sent']} received {row['received']} lost {row['lost']} "
                f"duplicated {row['duplicated']} reordered {row['reordered']} stale {row['stale']} "
                f"gap {row['gap_ms']:.1f} ms delay {row['delay_ms']:.1f} ms late {row['late_ms']:.1f} ms"
                for row in self.rows]
        rows += [f"  {row['name']}: unsolicited {row['received'] + row['duplicated'] + row['stale']}"
                 for row in self.unsolicited]
        return f"{self.seconds:.1f} s\n" + "\n".join(rows)


class Aftermath:
    """Several intervals in a row, read as one."""

    def __init__(self, intervals):
        self.intervals = intervals

    def sum(self, key):
        return sum(interval.sum(key) for interval in self.intervals)

    def worst(self, key):
        return max(interval.worst(key) for interval in self.intervals)

    def check_once(self):
        for interval in self.intervals:
            interval.check_once()
        return self
