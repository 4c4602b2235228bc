"""What Cloud Logging and Cloud Monitoring tell of jobs and endpoints, from what this server did and answered."""
