"""Attachments: files beside the database, named by what is in them, which documents refer to by a token.

Rules: a file that was acknowledged is on disk and has its row. It stays while a document refers to it, and a while
after its upload and after the last reference was seen to be gone. Files are no part of the log: stores give them to
each other when somebody asks.

Not here: tokens (`crdtstore/crdt/attachment.py`), rows and names on disk (`crdtstore/storage/`), the wire (`http/`).
"""
