"""The command line: one file a command, each working on a store's directory or, over HTTP, on a server.

Rules: what a program reads goes to standard output, what a person reads besides to standard error. A
command imports what it needs when it runs, so that help is quick. Errors are one sentence and an exit
code (`group`); nothing that was foreseen shows a traceback.

Not here: what the settings are (`crdtstore/settings.py`), what the commands do to a store
(`crdtstore/store.py`).
"""
