"""The family of other stores: the exchange, over HTTP.

Rules: one route, since a message says itself what it asks. Bodies are msgpack in both directions.

Not here: what the messages mean (`crdtstore.replication`), who may send which (`crdtstore.auth`).
"""
