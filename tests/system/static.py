# SPDX-License-Identifier: ISC
"""A pair made by hand, once, without any daemon: what a healthy pair looks like in the kernel.

Proves that the lab can carry a pair at all, so that a failing case is about the daemon. It never adapts: no fault
may happen while it stands in.
"""
import os
import sys

import lab as lab_module
from shell import run, spawn

SYSTEM = "02:00:00:00:00:aa"
SPEAKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "speaker.py")

RULES = """
table bridge static {
	chain split {
		type filter hook forward priority 0; policy accept;
		iifname "pl" oifname "po*" drop
	}
}
"""


def make_pair(lab):
    for leaf in lab_module.LEAVES:
        netns = lab.ns(f"leaf{leaf}")
        run("nft", "-f", "-", netns=netns, stdin=RULES)
        run("bridge", "link", "set", "dev", "pl", "learning", "off", netns=netns)
        for number, port in lab.legs.items():
            static_entry(netns, lab.mac(f"h{number}"), port)
            run("bridge", "link", "set", "dev", port, "backup_port", "pl", netns=netns)
        static_entry(netns, lab.mac(f"o{3 - leaf}"), "pl")
    # Port ids from disjoint halves, as the design says.
    ports = [f"{lab.ns(f'leaf{leaf}')}:{port}:{number}:{number + 0x8000 * (leaf - 1)}"
             for leaf in lab_module.LEAVES for number, port in lab.legs.items()]
    lab.helpers.append(spawn(sys.executable, "-SE", SPEAKER, SYSTEM, *ports))


def drop_split_horizon(lab):
    """The mistake a pair exists to avoid."""
    for leaf in lab_module.LEAVES:
        run("nft", "delete", "table", "bridge", "static", netns=lab.ns(f"leaf{leaf}"))


def static_entry(netns, mac, port):
    run("bridge", "fdb", "replace", mac, "dev", port, "master", "static", netns=netns)
