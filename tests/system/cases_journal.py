# SPDX-License-Identifier: ISC
"""What a pair has recorded is decided again, by a program that may do nothing, and comes out the same."""
import os
import re

from case import all_cables, case, every_pair, healthy, usable
from lab import LEAVES
from shell import eventually, expect, now, run

NODES = ["h1", "h2", "o1", "o2"]


def replay(bench, journal):
    """(number of events, what was printed). Without any capability: the bounding set is empty."""
    done = run("setpriv", "--bounding-set=-all", "--no-new-privs", bench.binary("mclagd/mclagd"), "--replay", journal,
               check=False, timeout=120)
    expect(done.returncode == 0, f"{journal}: exit {done.returncode}: {done.stdout[-2000:]}{done.stderr}")
    match = re.search(r"^(\d+) events, identical\n\Z", done.stdout, re.MULTILINE)
    expect(match, f"{journal} ends with {done.stdout[-200:]}")
    return int(match.group(1)), done.stdout


@case
def pair_replays_its_journal(bench):
    """A cable is cut, a daemon is killed, both are stopped: all three runs replay, and tell what happened."""
    lab = bench.lab()
    journals = {leaf: f"{lab.directory}/leaf{leaf}/journal" for leaf in LEAVES}
    for leaf in LEAVES:
        bench.daemon(lab, leaf, settings={"journal": f"{{file: {journals[leaf]}, size-mb: 64}}"}).start()
    begin = now()
    healthy(lab, 60)
    for host in lab.hosts.values():
        host.spread()
    with bench.probe(every_pair(lab, NODES), rate=1000, seconds=3) as probe:
        probe.finish().check_clean()
    lab.cut("h1-leaf1")
    eventually(lambda: usable(lab)[1], 5, "h1 uses its other cable only", lambda cables: cables == ["l2"])
    lab.mend("h1-leaf1")
    healthy(lab)
    lab.daemons[2].kill()
    expect(usable(lab) == all_cables(lab), "the hosts keep both cables")
    lab.daemons[2].start()
    healthy(lab)
    expect(lab.daemons[1].events() and lab.daemons[2].events(), "there is something to tell")
    told = {leaf: [event["text"] for event in lab.daemons[leaf].events()] for leaf in LEAVES}
    for leaf in LEAVES:
        counters = lab.daemons[leaf].counters()["journal"]
        expect(counters["recording"] and int(counters["events"]) > 20 and int(counters["missed"]) == 0,
               f"leaf{leaf} records: {counters}")
        lab.daemons[leaf].stop()
        expect(not os.path.exists(journals[leaf] + ".2"), "one run before is kept")
    seconds = now() - begin

    lines = {}
    for name, journal in (("leaf1", journals[1]), ("leaf2", journals[2]), ("leaf2, killed", journals[2] + ".1")):
        begin = now()
        events, lines[name] = replay(bench, journal)
        lines[name + ": figures"] = f"{events} events, {os.path.getsize(journal)} bytes, {now() - begin:.2f} s"
    expect("mclag: leg 1: carrier was lost" in lines["leaf1"], "leaf1 tells of the cable")
    expect("note: the daemon ended" in lines["leaf1"], "leaf1 was told to stop")
    expect("domain: started -> resuming" in lines["leaf2"], "leaf2 has resumed")
    expect("note: the journal has no end" in lines["leaf2, killed"], "leaf2 was killed")
    for leaf in LEAVES:
        missing = [text for text in told[leaf] if text not in lines[f"leaf{leaf}"]]
        expect(not missing, f"leaf{leaf} told of {missing[:3]}, its journal does not")
    size = os.path.getsize(journals[1])
    figures = "; ".join(f"{name} {text}" for name, text in lines.items() if name.endswith("figures"))
    return f"{figures}; leaf1 records {size / seconds:.0f} bytes per second"
