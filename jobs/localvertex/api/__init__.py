"""What every call has in common: who may ask, and JSON that is Google's messages."""
