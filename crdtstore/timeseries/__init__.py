"""Time series: events with a time, appended and read by ranges of time, until they expire.

Rules: an event is a document of a collection that belongs to its series; its id begins with its time, so that a range
of times is a range of ids. Events are never changed, only appended, removed and expired.

Not here: the wire (`http/store/series`), permissions (`auth/session.py`).
"""
