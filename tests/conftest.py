"""Settings that all tests share.

Rules: a run repeats exactly. Generated cases are the same in every run and no test is judged by the clock; a
search for new cases is asked for with `--hypothesis-profile=search`. Fixtures of one folder stand in its own
`conftest.py`.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeat",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", settings.get_profile("repeat"), derandomize=False, max_examples=10_000)
settings.load_profile("repeat")
