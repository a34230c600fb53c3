"""The built-in server: connections, and the channels of their requests, on the event loop alone.

Not here: what a request may be and what it is answered (`server`), the other server that does the same (`on_uvicorn`).
"""
