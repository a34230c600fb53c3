"""Time series over HTTP: events are appended, read and removed by spans of time.

Rules: what a series is, stands in `crdtstore.timeseries`; here are its paths and shapes. A series is read and written
by who may do so with a collection of its id.
"""
