"""The feed is what a store tells of its transactions while they are applied, to those who listen.

pump       one thread that follows the log while somebody listens, round by round
changed    the documents that entries of the log touch
"""
