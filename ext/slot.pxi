# What objects have in their slots, read where it lies. Plain twin: the attributes, as in crdtstore/prepared.py and in
# crdtstore/command/staging.py.
#
# Rules: a place belongs to one class; who reads makes sure that the object is of it. What is read is not owned.

from cpython.object cimport PyObject

cdef extern from *:
    """
    #define slot_is_member(object) Py_IS_TYPE(object, &PyMemberDescr_Type)
    """
    bint slot_is_member(object slot)

cdef extern from "Python.h":
    ctypedef struct slot_member "PyMemberDef":
        Py_ssize_t offset
    ctypedef struct slot_descriptor "PyMemberDescrObject":
        slot_member *d_member


cdef Py_ssize_t slot_place(object owner, str name, Py_ssize_t otherwise=-1) except -1:
    """Where objects of a class have one of their slots; what else is given where it is none."""
    slot = getattr(owner, name, None)
    if slot_is_member(slot):
        return (<slot_descriptor *><PyObject *>slot).d_member.offset
    if otherwise < 0:
        raise TypeError(f"{name} is no slot.")
    return otherwise


cdef inline PyObject *slot_held(object owner, Py_ssize_t place) noexcept:
    """What an object has in a slot; NULL: nothing."""
    return (<PyObject **>(<char *><PyObject *>owner + place))[0]
