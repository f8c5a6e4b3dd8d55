"""Runs beyond one endpoint: questions in files, for services that answer them hours later at a lower price."""
