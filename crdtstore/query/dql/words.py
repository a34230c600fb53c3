"""The words of the statement language: which are reserved, and which version of the language knows which strings.

Rules: a reserved word names nothing unless it stands in backticks, or behind the point of a path. Words that only
mean something in one place (`IDS`, `INDEX`, `LIST`, `RESTART`) are not reserved. Which words are is a matter of the
version; what is printed stands in backticks where either asks for them.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Profile: TypeAlias = Literal["v4", "v5"]
"""The two versions of the language. In v4 a text in double quotes is an identifier, in v5 it is a string."""

PUBLISHED_TEXT: Final = """
    AGAINST ALL ALTER ANALYZE AND ANTI ANY APPLY ARRAY ARRAY_AGG AS ASC AT ATTACHMENT BETWEEN BIGINT BINARY BLOB
    BOOLEAN BOTH BY BYTEA CASE CAST CEIL CENTURY CHAR CHARACTER CHARACTERS CLOB CLUSTER COLLATE COLLECTION CONFLICT
    CONTEXT COUNT COUNTER CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATE DATETIME DAY DEC DECADE
    DECIMAL DEFAULT DELETE DESC DISTINCT DISTRIBUTE DO DOCUMENTS DOUBLE DOW DOY ELEMENT ELSE END ENUM EPOCH ERROR
    ESCAPE EVICT EXCEPT EXISTS EXPANSION EXPLAIN EXTRACT FAIL FALSE FETCH FILTER FLOAT FLOOR FOLLOWING FOR FROM FULL
    GROUP GROUPS HAVING HOUR ID ILIKE IN INCREMENT INHERIT INITIAL INNER INSERT INT INTEGER INTERSECT INTERVAL INTO
    IS ISODOW ISOYEAR JOIN JULIAN LANGUAGE LARGE LATERAL LEADING LEFT LIKE LIMIT LISTAGG LOCALTIME LOCALTIMESTAMP
    MAP MEDIUMINT MICROSECOND MICROSECONDS MILLENIUM MILLENNIUM MILLISECOND MILLISECONDS MINUTE MISSING MODE MONTH
    NANOSECOND NANOSECONDS NATURAL NOT NOTHING NULL NUMERIC NVARCHAR OBJECT OCTETS OFFSET ON OPERATOR OR ORDER OUTER
    OUTPUTFORMAT OVER OVERFLOW OVERLAY PARTITION PEERS PERCENT PLACING PNCOUNTER POSITION PRECEDING PRECISION
    QUALIFY QUARTER QUERY RANGE RAW REAL REGCLASS REGISTER RESET RETURNING RIGHT ROW ROWS SAFE_CAST SECOND SELECT
    SEMI SET SHOW SIMILAR SMALLINT SORT STCOUNTER STRING SUBSTRING SYNC SYSTEM TABLE TEMP TEMPORARY TEXT THEN TIES
    TIME TIMESTAMP TIMESTAMPTZ TIMETZ TIMEZONE TIMEZONE_HOUR TIMEZONE_MINUTE TINYINT TO TOMBSTONE TOP TRAILING TRIM
    TRUE TRUNCATE TRY_CAST UNBOUNDED UNION UNKNOWN UNLOGGED UNNEST UNSIGNED UPDATE USING UUID VALID VALUE VALUES
    VARBINARY VARCHAR VARYING VIEW WEEK WHEN WHERE WITH WITHIN WITHOUT XOR YEAR ZONE
"""
PUBLISHED: Final = frozenset(PUBLISHED_TEXT.split())
"""The published list of version 4."""

OURS: Final = frozenset({"EVERY", "SATISFIES", "UNSET", "USE"})
"""Words that came later and stand where an alias or a field could stand too."""

RESERVED: Final = PUBLISHED | OURS
"""No alias unless behind AS; in version 4 no names at all."""

STRUCTURAL_TEXT: Final = """
    AND ANY APPLY AS BETWEEN BY CASE COLLECTION DISTINCT ELSE END EVERY FALSE FROM GROUP HAVING ILIKE IN IS JOIN LIKE
    LIMIT MISSING NOT NULL OFFSET ON OR ORDER RETURNING SATISFIES SELECT SET SIMILAR THEN TRUE UNSET USE WHEN WHERE XOR
"""
STRUCTURAL: Final = frozenset(STRUCTURAL_TEXT.split())
"""Words without which a statement cannot be read, in version 5 the only ones that are no names: what is published of
it uses `timestamp`, `year`, `count`, `value` and other words of the list as fields, aliases and collections."""


def is_reserved(word: str, profile: Profile) -> bool:
    """Whether a word names nothing as it stands, in whatever case it is written."""
    return word.upper() in (RESERVED if profile == "v4" else STRUCTURAL)


def is_alias(word: str) -> bool:
    """Whether a word is an alias without AS before it."""
    return word.upper() not in RESERVED
