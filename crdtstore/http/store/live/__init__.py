"""Live queries over HTTP: the rows of a query, and then what becomes of them, as Server-Sent Events."""
