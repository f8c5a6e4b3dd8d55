"""Scenes in three dimensions, the one room for all that is 3D: a file each, found through the registry."""
