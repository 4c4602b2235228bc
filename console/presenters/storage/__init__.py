"""The dialog that browses Cloud Storage."""
