"""What is looked for: query languages are parsed into one tree, and the tree is matched against documents.

Rules: a grammar gives a `tree.Node` or a `QuerySyntaxError`; what an operator makes of missing fields, nulls
and types stands in its node, so the tree alone says what a query means. Nothing here knows storage or HTTP.
"""
