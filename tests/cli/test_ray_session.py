"""How many cores Ray is told of on this machine; Ray itself is not started."""

import os
import sys
from types import SimpleNamespace

import pytest

from isthmus_cli.ray_session import connect


@pytest.mark.parametrize(("needed", "told"), [(1, 3), (5, 5)])
def test_ray_on_this_machine_gets_the_cores_that_this_process_may_use(monkeypatch, needed, told):
    started = {}
    fake = SimpleNamespace(init=lambda **words: started.update(words), cluster_resources=lambda: {"CPU": started["num_cpus"]})
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 7})
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert connect(None, needed) is fake
    assert started["num_cpus"] == told
