"""What exists in the project and was not made here: it is listed, shown, and attached when a person asks for it."""
