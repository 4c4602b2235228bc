"""Who is told of what, on the page, by e-mail and by webhook."""
