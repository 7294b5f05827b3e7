"""Worker processes, which compute for the lab and can be killed."""
