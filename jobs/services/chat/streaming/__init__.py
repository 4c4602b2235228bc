"""An answer while it is written: read from the endpoint, drawn, sent to the pages and saved."""
