"""What pages say of what was not made here."""
