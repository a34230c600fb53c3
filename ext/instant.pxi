# Twin of crdtstore/query/instant.py: the instant that an RFC 3339 date-time names.
#
# Include after `value.pxi`.

from libc.stdint cimport int64_t
from libc.string cimport memcmp

cdef enum:
    INSTANT_SHORTEST = 20          # bytes of 2022-04-29T00:55:31Z
    INSTANT_DAY_SECONDS = 86_400

cdef struct Instant:
    bint known                     # if not, the text is no date-time and the rest says nothing
    int64_t second                 # since 0000-01-01T00:00:00Z, without leap seconds
    int leap
    value_place fraction           # the digits behind the point, without trailing zeros
    size_t size

cdef extern from *:
    """
    static const int INSTANT_BEFORE_MONTH[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    static const int INSTANT_IN_MONTH[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    """
    const int *INSTANT_BEFORE_MONTH
    const int *INSTANT_IN_MONTH


cdef inline int instant_digits(value_place at, int count) noexcept nogil:
    """A number of so many digits; -1 where one is none."""
    cdef int number = 0, index
    for index in range(count):
        if not 48 <= at[index] <= 57:
            return -1
        number = 10 * number + at[index] - 48
    return number


cdef inline int instant_digits_max(value_place at, int maximum) noexcept nogil:
    """A number of two digits up to a maximum; else -1."""
    cdef int number = instant_digits(at, 2)
    return number if number <= maximum else -1


cdef void instant_parse(value_place text, size_t size, Instant *found) noexcept nogil:
    """The instant that a text names."""
    cdef value_place end = text + size
    cdef value_place at = text + 19
    cdef int year, month, day, hour, minute, second, ahead
    found.known = False
    if size < INSTANT_SHORTEST or text[4] != 45 or text[7] != 45 or text[13] != 58 or text[16] != 58:
        return
    if text[10] != 84 and text[10] != 116:
        return
    year, month, day = instant_digits(text, 4), instant_digits(text + 5, 2), instant_digits(text + 8, 2)
    hour, minute = instant_digits_max(text + 11, 23), instant_digits_max(text + 14, 59)
    second = instant_digits_max(text + 17, 60)
    if year < 0 or hour < 0 or minute < 0 or second < 0 or not 1 <= month <= 12:
        return
    if day < 1 or day > INSTANT_IN_MONTH[month - 1] + (month == 2 and instant_leap_year(year)):
        return
    at = instant_fraction(at, end, found)
    if at == NULL or not instant_offset(at, end, &ahead):
        return
    found.leap = second == 60
    found.second = <int64_t>instant_days(year, month, day) * INSTANT_DAY_SECONDS
    found.second += 3_600 * hour + 60 * minute + second - found.leap - 60 * ahead
    found.known = not found.leap or instant_ends_month(found.second + 1)


cdef value_place instant_fraction(value_place at, value_place end, Instant *found) noexcept nogil:
    """Read the fraction, if there is one; the place behind it, NULL where a point has no digits."""
    found.fraction, found.size = at, 0
    if at >= end or at[0] != 46:
        return at
    at += 1
    found.fraction = at
    while at < end and 48 <= at[0] <= 57:
        at += 1
    found.size = at - found.fraction
    if found.size == 0:
        return NULL
    while found.size and found.fraction[found.size - 1] == 48:
        found.size -= 1
    return at


cdef bint instant_offset(value_place at, value_place end, int *ahead) noexcept nogil:
    """Read the offset in minutes, with which the text ends."""
    cdef int hours, minutes
    ahead[0] = 0
    if end - at == 1:
        return at[0] == 90 or at[0] == 122
    if end - at != 6 or (at[0] != 43 and at[0] != 45) or at[3] != 58:
        return False
    hours, minutes = instant_digits_max(at + 1, 23), instant_digits_max(at + 4, 59)
    ahead[0] = (60 * hours + minutes) * (-1 if at[0] == 45 else 1)
    return hours >= 0 and minutes >= 0


cdef inline bint instant_leap_year(int year) noexcept nogil:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


cdef inline int instant_days(int year, int month, int day) noexcept nogil:
    """How many days lie between 0000-01-01 and a date."""
    cdef int days = year * 365 + (year + 3) // 4 - (year + 99) // 100 + (year + 399) // 400
    return days + INSTANT_BEFORE_MONTH[month - 1] + (month > 2 and instant_leap_year(year)) + day - 1


cdef bint instant_ends_month(int64_t second) noexcept nogil:
    """Whether a month begins at this second, in UTC."""
    cdef int64_t day = second // INSTANT_DAY_SECONDS
    cdef int year, month
    # Before the year 0 too, since an offset may lead there: by 400 years, after which all repeats.
    if second < 0:
        return instant_ends_month(second + <int64_t>146_097 * INSTANT_DAY_SECONDS)
    if second % INSTANT_DAY_SECONDS:
        return False
    year = <int>(day // 366)
    while instant_days(year + 1, 1, 1) <= day:
        year += 1
    for month in range(1, 13):
        if instant_days(year, month, 1) == day:
            return True
    return False


cdef int instant_order(const Instant *left, const Instant *right) noexcept nogil:
    """-1, 0 or 1: which of two instants comes first."""
    cdef int order
    if left.second != right.second:
        return -1 if left.second < right.second else 1
    if left.leap != right.leap:
        return -1 if left.leap < right.leap else 1
    order = memcmp(left.fraction, right.fraction, min(left.size, right.size))
    if order == 0:
        return (left.size > right.size) - (left.size < right.size)
    return -1 if order < 0 else 1
