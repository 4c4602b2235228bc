"""The calls that HTTP answers, by gRPC: each is put into the request that Google's front end would make of it."""
