"""/api/vN/attachments: files, put and read over HTTP from version 4 on.

Not here: what a file is and when it goes (`crdtstore/attachments/`).
"""
