"""The change feed over HTTP: pages, long polls, JSON Lines and Server-Sent Events of what becomes of documents."""
