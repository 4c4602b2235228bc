"""What stands between the network and the pages: limits for connections, headers, bodies, threads and answers."""
