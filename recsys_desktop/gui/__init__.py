"""The window: face two of the application. Nothing outside this package imports Qt."""

import pydantic
import pydantic.errors

# Once Qt is there, its import hook asks every newly imported module for an attribute. Pydantic's modules import others
# to answer, and where a worker imports them first that ends, now and then, in a circular import. Asked here, before Qt
# is imported, they have what they need.
for _module in (pydantic, pydantic.errors):
    hasattr(_module, "__wrapped__")
