"""`pages` has all addresses. `accounts` has those that are needed where importing every page takes too long."""
