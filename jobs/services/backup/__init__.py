"""One file with everything that a console keeps, made while it runs, and the way back from it.

The database is read first, at one moment, and the files after it: what a row names was written before the row, so it is
in the file unless somebody deleted it meanwhile.
"""
