"""The feed is what a store tells of its transactions while they are applied, to those who listen.

pump       one thread that follows the log while somebody listens, round by round
changed    the documents that entries of the log touch
images     documents before and after each transaction, by merging it again
event      what became of one document, as readers are told
filter     which documents a reader is told of
ring       the newest events of one filter, shared by its readers
kept       images that are stored with their transactions
past       events from the log, behind the rings
feed       the listener of the pump that fills the rings
reader     a position in the log, then in a ring
"""
