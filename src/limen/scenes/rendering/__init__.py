"""Scenes seen by a camera: light solved once and kept, views cast without noise. Needs embreex (extra `scene`)."""
