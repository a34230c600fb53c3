"""Documents as resources, from version 4 on: one document, read and written on condition, and its history.

Rules: an id in a path is a string; others are reached by the other routes.
"""
